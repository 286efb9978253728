"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const body = $("player-body");

  /** An element with attributes and children; text stays text. */
  function el(tag, attributes = {}, ...children) {
    const svg = ["svg", "path", "line", "text", "rect", "polyline", "g"].includes(tag);
    const made = svg
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // ---- Numbers as they stand in the page -------------------------------------------------------

  const TYPES = { int8: Int8Array, int16: Int16Array, int32: Int32Array, uint8: Uint8Array, float32: Float32Array };

  async function unpacked(text, type) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new TYPES[type](await new Response(stream).arrayBuffer());
  }

  const isMap = (view) => ["maps", "image", "mask"].includes(view.kind);
  const typeOf = (view) => (isMap(view) ? "uint8" : "float32");
  const short = (value) => {
    const size = Math.abs(value);
    if (value === 0) return "0";
    return size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(+value.toPrecision(3));
  };

  // ---- Colours ---------------------------------------------------------------------------------

  let colours = {};
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["cell0", "cell1", "spike", "minus", "keras", "ink", "line-strong", "wash"]) {
      const hex = style.getPropertyValue(`--${name}`).trim();
      colours[name] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      if (hex.length < 7) colours[name] = [1, 2, 3].map((at) => parseInt(hex[at] + hex[at], 16));
    }
  }
  const css = (name) => `rgb(${colours[name].join(" ")})`;
  // Okabe and Ito's colours, which colour-blind readers tell apart, and shades of them.
  const CLASSES = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167], [90, 90, 90]];
  function classColour(k) {
    const base = CLASSES[k % CLASSES.length];
    const lighter = Math.floor(k / CLASSES.length) % 4;
    return base.map((part) => Math.round(part + (255 - part) * 0.22 * lighter));
  }

  // ---- Maps in a grid --------------------------------------------------------------------------

  /** Columns of maps: near to the wanted shape, and with few places left empty. */
  function gridColumns(maps, rows, columns, aspect) {
    let best = 1;
    let least = Infinity;
    for (let k = 1; k <= maps; k += 1) {
      const high = Math.ceil(maps / k);
      const shape = (k * (columns + 1)) / (high * (rows + 1));
      const cost = Math.abs(Math.log(shape / aspect)) + (1.5 * (k * high - maps)) / maps;
      if (cost < least) [least, best] = [cost, k];
    }
    return best;
  }

  /** Where each cell of some maps is in an image, and how large that is. */
  function layout(view, aspect) {
    const { maps, rows, columns, used } = view;
    const across = gridColumns(maps, rows, columns, aspect);
    const gap = maps > 1 ? 1 : 0;
    const width = across * (columns + gap) - gap;
    const height = Math.ceil(maps / across) * (rows + gap) - gap;
    const places = new Int32Array(maps * rows * columns).fill(-1);
    for (let map = 0; map < maps; map += 1) {
      const top = Math.floor(map / across) * (rows + gap);
      const left = (map % across) * (columns + gap);
      for (let cell = 0; cell < Math.min(used, rows * columns); cell += 1) {
        const row = top + Math.floor(cell / columns);
        places[map * rows * columns + cell] = row * width + left + (cell % columns);
      }
    }
    return { width, height, places };
  }

  /** Make a canvas as large as fits, by a whole number of the screen's pixels for each cell if it can. */
  function fit(canvas, grid, room, tallest, largest) {
    canvas.width = grid.width;
    canvas.height = grid.height;
    const scale = Math.min(room / grid.width, tallest / grid.height, largest);
    const ratio = window.devicePixelRatio || 1;
    const whole = scale >= 1 ? Math.floor(scale * ratio) / ratio : scale;
    canvas.style.width = `${Math.max(1, Math.round(grid.width * whole))}px`;
    canvas.style.imageRendering = scale >= 1 ? "pixelated" : "auto";
  }

  /** Draw values in grey, in colour or by class. */
  function drawPicture(canvas, view, grid, values, frame, frames) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(grid.width, grid.height);
    const cells = view.rows * view.columns;
    const put = (place, colour, alpha = 255) => image.data.set([...colour, alpha], 4 * place);
    if (view.kind === "image") {
      for (let cell = 0; cell < cells; cell += 1) {
        const parts = Array.from({ length: view.maps }, (_, k) => values[(k * cells + cell) * frames + frame]);
        put(cell, parts.slice(0, 3), view.maps > 3 ? parts[3] : 255);
      }
    } else {
      grid.places.forEach((place, cell) => {
        if (place < 0) return;
        const value = values[cell * frames + frame];
        put(place, view.kind === "mask" ? classColour(value) : [value, value, value]);
      });
    }
    context.putImageData(image, 0, 0);
  }

  const pictureGrid = (view, aspect) =>
    view.kind === "image"
      ? { width: view.columns, height: view.rows, places: null }
      : layout(view, aspect);

  // ---- State -----------------------------------------------------------------------------------

  const data = JSON.parse($("player-data").textContent);
  const frames = data.ends.length;
  const state = { example: 0, frame: frames - 1, playing: false, mode: "sum", loaded: null };
  const cache = new Map();
  const redraw = []; // functions of the frame that draw what is on the page

  async function load(number) {
    if (cache.has(number)) return cache.get(number);
    const given = data.examples[number];
    const found = { inputs: [], layers: [], outputs: [] };
    for (const [k, view] of data.inputs.entries()) {
      found.inputs.push(await unpacked(given.inputs[k], typeOf(view)));
    }
    for (const [k, view] of data.layers.entries()) {
      const now = await unpacked(given.layers[k].spikes, given.layers[k].type);
      const sums = new Int32Array(now.length);
      let [most, peak, signed] = [1, 1, false];
      for (let cell = 0; cell < now.length; cell += frames) {
        let sum = 0;
        for (let frame = 0; frame < frames; frame += 1) {
          sum += now[cell + frame];
          sums[cell + frame] = sum;
          peak = Math.max(peak, Math.abs(now[cell + frame]));
          if (now[cell + frame] < 0) signed = true;
        }
        most = Math.max(most, Math.abs(sum));
      }
      found.layers.push({ now, sums, most, peak, signed, counts: given.layers[k].counts, view });
    }
    for (const [k, view] of data.outputs.entries()) {
      const one = { ...given.outputs[k] };
      for (const part of ["values", "reference", "label"]) {
        if (one[part] !== undefined) one[part] = await unpacked(one[part], typeOf(view));
      }
      found.outputs.push(one);
    }
    if (cache.size > 2) cache.delete(cache.keys().next().value);
    cache.set(number, found);
    return found;
  }

  // ---- Time ------------------------------------------------------------------------------------

  const stepOf = (frame) => data.ends[frame] + 1;
  function clockText(frame) {
    const time = 1000 * data.dt * stepOf(frame);
    return `step ${stepOf(frame)} of ${data.n_steps} · ${short(time)} ms`;
  }

  function show(frame) {
    state.frame = Math.max(0, Math.min(frames - 1, frame));
    $("time").value = state.frame;
    $("clock").textContent = clockText(state.frame);
    for (const draw of redraw) draw(state.frame);
    const answers = [...document.querySelectorAll("#outputs .now")].map((each) => each.textContent);
    $("time").setAttribute("aria-valuetext", [clockText(state.frame), ...answers].join(", "));
  }

  let last = 0;
  let due = 0;
  function tick(time) {
    if (!state.playing) return;
    const perSecond = Math.max(6, Math.min(24, frames / 5)) * Number($("speed").value);
    due += ((time - last) / 1000) * perSecond;
    last = time;
    if (due >= 1) {
      const steps = Math.floor(due);
      due -= steps;
      show(state.frame + steps);
      if (state.frame === frames - 1) return play(false);
    }
    requestAnimationFrame(tick);
  }

  function play(on) {
    if (on && state.frame === frames - 1) show(0);
    state.playing = on && frames > 1;
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    $("play-shape").setAttribute("d", state.playing ? "M6 4h4v16H6zM14 4h4v16h-4z" : "M7 4l13 8-13 8z");
    if (state.playing) {
      last = performance.now();
      due = 0;
      requestAnimationFrame(tick);
    }
  }

  function seek(frame) {
    play(false);
    show(frame);
  }

  // ---- Inputs ----------------------------------------------------------------------------------

  function panel(title, more) {
    const head = el("h3", {}, title);
    if (more) head.append(" ", el("small", {}, more));
    return el("div", { class: "panel card" }, head);
  }

  function drawInputs(loaded) {
    const host = $("inputs");
    host.replaceChildren();
    data.inputs.forEach((view, k) => {
      const values = loaded.inputs[k];
      const name = data.inputs.length > 1 ? `Input ${view.name}` : "Input";
      const box = panel(name, view.shape.join(" × "));
      host.append(box);
      if (isMap(view)) {
        const grid = pictureGrid(view, 1);
        const canvas = el("canvas", { role: "img", "aria-label": `${name} of the example` });
        box.append(canvas);
        fit(canvas, grid, Math.min(300, box.clientWidth - 34), 260, 24);
        redraw.push((frame) => drawPicture(canvas, view, grid, values, view.frames > 1 ? frame : 0, view.frames));
      } else {
        const width = view.points.length;
        const of = (frame) => values.subarray(frame * width, (frame + 1) * width);
        const draw = view.kind === "bars" ? barTable(box, view, { rows: view.points }) : lineChart(box, view);
        redraw.push((frame) => draw(of(view.frames > 1 ? frame : 0)));
      }
      const range = `values from ${short(view.low)} to ${short(view.high)}`;
      box.append(el("p", { class: "fine" }, [view.note, range].filter(Boolean).join("; ")));
    });
  }

  // ---- Outputs ---------------------------------------------------------------------------------

  /** Bars of values, with Keras' values beside; gives back what draws them. */
  function barTable(box, view, one) {
    const [low, high] = one.chosen ? rangeOfBars(one) : [Math.min(0, view.low), Math.max(0, view.high)];
    const span = high - low || 1;
    const at = (value) => 100 * Math.max(0, Math.min(1, (value - low) / span));
    const keras = one.reference;
    const head = el("tr", {}, el("th", { scope: "col" }, ""), el("th", { "aria-hidden": "true" }));
    const label = view.frames === undefined ? "spikes" : "value";
    head.append(el("th", { scope: "col" }, label));
    if (keras) head.append(el("th", { scope: "col" }, "Keras"));
    const table = el("table", { class: "bars" }, el("thead", {}, head), el("tbody"));
    const rows = one.rows.map((unit, k) => {
      const fill = el("i");
      const bar = el("span", { class: "bar" }, fill);
      if (low < 0 && !one.chosen) bar.append(Object.assign(el("s"), { style: `left:${at(0)}%` }));
      if (keras) bar.append(Object.assign(el("em"), { style: `left:${at(keras[k])}%` }));
      const value = el("td");
      const name = one.row_names ? one.row_names[k] : String(unit);
      const row = el("tr", {}, el("th", { scope: "row", title: name }, name));
      row.append(el("td", { class: "track", "aria-hidden": "true" }, bar), value);
      if (keras) row.append(el("td", {}, short(keras[k])));
      table.tBodies[0].append(row);
      return { fill, value, row, unit };
    });
    box.append(table);
    const plain = one.values && !one.chosen ? "plain" : "";
    return (values, chosen) => {
      rows.forEach(({ fill, value, row, unit }, k) => {
        const base = one.chosen ? low : 0;
        const [from, to] = [at(Math.min(base, values[k])), at(Math.max(base, values[k]))];
        fill.style.left = `${from}%`;
        fill.style.width = `${to - from}%`;
        value.textContent = short(values[k]);
        row.className = unit === chosen ? "chosen" : plain;
      });
    };
  }

  /** What bars of classes begin and end at: the longest bar wins, also among logits below zero. */
  function rangeOfBars(one) {
    const width = one.rows.length;
    const settled = one.values.subarray((frames >> 1) * width); // without the first steps' swings
    const all = [...settled, ...(one.reference ?? [])];
    const low = Math.min(0, ...all);
    const high = Math.max(...all);
    return [low < 0 ? low - 0.04 * (high - low) : 0, high];
  }

  const WIDE = 320;
  const TALL = 130;
  const LEFT = 46; // room for the numbers beside the axis
  const ACROSS = WIDE - LEFT - 6;
  const points = (values, x, y) => Array.from(values, (value, k) => `${x(k).toFixed(1)},${y(value).toFixed(1)}`).join(" ");

  /** A line through values, beside Keras' one; gives back what draws it. */
  function lineChart(box, view, keras) {
    const y = (value) => 8 + (TALL - 26) * (1 - (value - view.low) / (view.high - view.low || 1));
    const x = (k) => LEFT + (ACROSS * k) / Math.max(1, view.points.length - 1);
    const line = el("polyline", { class: "main" });
    const chart = frameOfChart(view.low, view.high, y, "0", String(view.points.at(-1)), "unit");
    if (keras) chart.append(el("polyline", { class: "keras", points: points(keras, x, y) }));
    chart.append(line);
    box.append(chart);
    return (values) => line.setAttribute("points", points(values, x, y));
  }

  function frameOfChart(low, high, y, from, to, name) {
    const chart = el("svg", { class: "chart", viewBox: `0 0 ${WIDE} ${TALL}`, "aria-hidden": "true" });
    const base = TALL - 18;
    chart.append(
      el("line", { class: "axis", x1: LEFT, x2: WIDE - 6, y1: base, y2: base }),
      el("text", { x: LEFT - 4, y: y(high) + 8, "text-anchor": "end" }, short(high)),
      el("text", { x: LEFT - 4, y: base, "text-anchor": "end" }, short(low)),
      el("text", { x: LEFT, y: TALL - 4 }, from),
      el("text", { x: WIDE - 6, y: TALL - 4, "text-anchor": "end" }, to),
      el("text", { x: LEFT + ACROSS / 2, y: TALL - 4, "text-anchor": "middle" }, name),
    );
    return chart;
  }

  /** Values over time, with a cursor that can be dragged. */
  function timeChart(box, series, low, high) {
    const x = (frame) => LEFT + (ACROSS * frame) / Math.max(1, frames - 1);
    const y = (value) => 8 + (TALL - 26) * (1 - (value - low) / (high - low || 1));
    const chart = frameOfChart(low, high, y, String(stepOf(0)), String(data.n_steps), "time step");
    for (const { values, kind } of series) {
      const flat = kind === "keras" ? [[x(0), y(values[0])], [x(frames - 1), y(values[0])]].join(" ") : points(values, x, y);
      chart.append(el("polyline", { class: kind, points: flat }));
    }
    const cursor = el("line", { class: "cursor", y1: 4, y2: TALL - 18 });
    chart.append(cursor);
    dragged(chart, (share) => Math.round(((share * WIDE - LEFT) / ACROSS) * (frames - 1)));
    box.append(chart);
    return (frame) => {
      cursor.setAttribute("x1", x(frame));
      cursor.setAttribute("x2", x(frame));
    };
  }

  /** Seek where the pointer is on an element. */
  function dragged(element, frameAt) {
    const go = (event) => {
      const place = element.getBoundingClientRect();
      seek(frameAt((event.clientX - place.left) / place.width));
    };
    element.addEventListener("pointerdown", go);
    element.addEventListener("pointermove", (event) => event.buttons && go(event));
  }

  function verdict(one) {
    const now = el("b", { class: "now" });
    const line = el("p", { class: "verdict" }, el("span", {}, "spikes ", now));
    if (one.reference_class !== undefined) {
      line.append(el("span", {}, "Keras ", el("b", {}, one.names[one.reference_class])));
    }
    if (one.label_class !== undefined) {
      line.append(el("span", {}, "label ", el("b", {}, one.names[one.label_class])));
    }
    const wanted = one.label_class ?? one.reference_class;
    redraw.push((frame) => {
      const chosen = one.chosen[frame];
      now.textContent = one.names[chosen] + (wanted === undefined ? "" : chosen === wanted ? " ✓" : " ✗");
      now.className = `now ${wanted === undefined ? "" : chosen === wanted ? "good" : "bad"}`;
    });
    return line;
  }

  function drawBars(box, view, one) {
    const width = one.rows.length;
    const of = (frame) => one.values.subarray(frame * width, (frame + 1) * width);
    if (one.chosen) box.append(verdict(one));
    const draw = barTable(box, view, one);
    const marks = el("p", { class: "marks" }, el("span", {}, el("i"), one.chosen ? "class of the spikes" : "spikes"));
    if (one.reference) marks.append(el("span", {}, el("i", { class: "keras" }), "Keras"));
    box.append(marks);
    redraw.push((frame) => draw(of(frame), one.chosen ? one.chosen[frame] : undefined));
    const final = one.chosen && one.rows.length > 1 ? one.rows.indexOf(one.chosen[frames - 1]) : -1;
    const main = final < 0 && width === 1 ? 0 : final;
    const series = one.rows.map((_, k) => ({
      values: Array.from({ length: frames }, (__, frame) => one.values[frame * width + k]),
      kind: k === main || main < 0 ? "main" : "other",
    }));
    series.sort((a, b) => (a.kind === "main") - (b.kind === "main"));
    if (one.reference && main >= 0) series.push({ values: [one.reference[main]], kind: "keras" });
    const all = [...one.values, ...(one.reference ?? [])];
    redraw.push(timeChart(box, series, Math.min(...all), Math.max(...all)));
    const [low] = one.chosen ? rangeOfBars(one) : [0];
    const note = [one.note || view.note, low < 0 ? `Bars begin at ${short(low)}` : ""].filter(Boolean).join(". ");
    const which = main >= 0 && width > 1 ? `The bold line is the class at the last step${one.reference ? ", the dashed one Keras' value for it" : ""}.` : "";
    box.append(el("p", { class: "fine" }, [note && `${note}.`, which].filter(Boolean).join(" ")));
  }

  function drawPictures(box, view, one) {
    const grid = layout(view, 1);
    const pair = el("div", { class: "pair" });
    box.append(pair);
    const add = (name, values, count) => {
      const canvas = el("canvas", { role: "img", "aria-label": `${name}, ${view.name}` });
      pair.append(el("figure", {}, el("figcaption", {}, name), canvas));
      fit(canvas, grid, 140, 180, 16);
      redraw.push((frame) => drawPicture(canvas, view, grid, values, count > 1 ? frame : 0, count));
    };
    add("spikes", one.values, frames);
    if (one.reference) add("Keras", one.reference, 1);
    if (one.label) add("label", one.label, 1);
  }

  function drawDistance(box, view, one) {
    if (!one.distance) return;
    const mask = view.kind === "mask";
    const text = (frame) => `${short(100 * one.distance[frame])} %`;
    const what = mask ? "of the places have another class than Keras'" : "difference to Keras, as a share of its size";
    const now = el("b", { class: "now" });
    box.append(el("p", {}, now, ` ${what}`));
    redraw.push((frame) => (now.textContent = text(frame)));
    const most = Math.max(...one.distance) || 1;
    redraw.push(timeChart(box, [{ values: one.distance, kind: "main" }], 0, most));
  }

  function drawOutputs(loaded) {
    const host = $("outputs");
    host.replaceChildren();
    data.outputs.forEach((view, k) => {
      const one = loaded.outputs[k];
      const box = panel(data.outputs.length > 1 ? `Output ${view.name}` : "Output");
      host.append(box);
      if (view.kind === "bars" || one.chosen) {
        drawBars(box, view, one);
        return;
      }
      if (isMap(view)) {
        drawPictures(box, view, one);
      } else {
        const width = view.points.length;
        const draw = lineChart(box, view, one.reference);
        redraw.push((frame) => draw(one.values.subarray(frame * width, (frame + 1) * width)));
        const marks = el("p", { class: "marks" }, el("span", {}, el("i"), "spikes"));
        if (one.reference) marks.append(el("span", {}, el("i", { class: "keras" }), "Keras"));
        box.append(marks);
      }
      drawDistance(box, view, one);
      if (view.note) box.append(el("p", { class: "fine" }, view.note));
    });
  }

  // ---- Layers ----------------------------------------------------------------------------------

  function paintLayer(canvas, grid, layer, frame) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(grid.width, grid.height);
    const pixels = image.data;
    const { now, sums, most, peak } = layer;
    const [empty, full, plus, minus] = ["cell0", "cell1", "spike", "minus"].map((name) => colours[name]);
    const summed = state.mode === "sum";
    for (let cell = 0; cell < grid.places.length; cell += 1) {
      if (grid.places[cell] < 0) continue;
      const at = cell * frames + frame;
      const place = 4 * grid.places[cell];
      const spike = now[at];
      const sum = summed ? sums[at] : 0;
      const share = Math.sqrt(Math.abs(sum) / most);
      const [end, part] = spike
        ? [spike > 0 ? plus : minus, 0.5 + (0.5 * Math.abs(spike)) / peak]
        : [sum < 0 ? minus : full, share];
      for (let k = 0; k < 3; k += 1) {
        pixels[place + k] = empty[k] + (end[k] - empty[k]) * (spike && peak === 1 ? 1 : part);
      }
      pixels[place + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function paintSpark(canvas, counts, frame) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const most = Math.max(1, ...counts);
    const step = width / frames;
    counts.forEach((count, k) => {
      const tall = Math.max(count ? 1.5 : 0, (height - 2) * (count / most));
      context.fillStyle = k === frame ? css("spike") : css("line-strong");
      context.globalAlpha = k <= frame ? 1 : 0.4;
      context.fillRect(k * step, height - tall, Math.max(1, step - (step > 4 ? 1.5 : 0.3)), tall);
    });
  }

  function drawLayers(loaded) {
    const host = $("layer-list");
    host.replaceChildren();
    body.classList.toggle("signed", loaded.layers.some((layer) => layer.signed));
    const per = data.steps_per_frame > 1 ? `these ${data.steps_per_frame} steps` : "this step";
    loaded.layers.forEach((layer) => {
      const { view, counts } = layer;
      const box = panel(view.name, `${view.shape.join(" × ")}, ${view.neurons.toLocaleString("en")} neurons`);
      box.classList.add("layer");
      const figure = el("p", { class: "fine" });
      const top = el("div", { class: "layer-top" }, box.firstChild, figure);
      const spark = el("canvas", { class: "spark", "aria-hidden": "true" });
      const canvas = el("canvas", { role: "img", "aria-label": `Spikes of ${view.name}` });
      box.append(top, spark, canvas);
      const shades = layer.peak > 1 ? `up to ${layer.peak} spikes in a cell at a time, the fewer the paler` : "";
      const notes = [view.note, shades].filter(Boolean).join("; ");
      if (notes) box.append(el("p", { class: "fine" }, `${notes}.`));
      host.append(box);
      const grid = layout(view, 2.6);
      fit(canvas, grid, box.clientWidth - 34, 340, 12);
      dragged(spark, (share) => Math.floor(share * frames));
      let total = 0;
      const totals = counts.map((count) => (total += count));
      box.draw = (frame) => {
        figure.textContent = `${counts[frame].toLocaleString("en")} spikes in ${per}, ${totals[frame].toLocaleString("en")} so far`;
        paintSpark(spark, counts, frame);
        paintLayer(canvas, grid, layer, frame);
      };
      redraw.push(box.draw);
    });
  }

  // ---- Examples --------------------------------------------------------------------------------

  async function choose(number) {
    const loaded = await load(number);
    if (number !== state.example) return; // another one was chosen meanwhile
    state.loaded = loaded;
    drawAll();
  }

  function drawAll() {
    redraw.length = 0;
    drawInputs(state.loaded);
    drawOutputs(state.loaded);
    drawLayers(state.loaded);
    show(state.frame);
  }

  async function drawExamples() {
    const host = $("examples");
    const view = data.inputs[0];
    for (const [number, example] of data.examples.entries()) {
      const radio = el("input", { type: "radio", name: "example", value: number });
      radio.checked = number === state.example;
      const box = el("label", { class: "example" }, radio);
      if (isMap(view)) {
        const grid = pictureGrid(view, 1);
        const canvas = el("canvas", { "aria-hidden": "true", width: grid.width, height: grid.height });
        const values = await unpacked(example.inputs[0], "uint8");
        drawPicture(canvas, view, grid, values, view.frames >> 1, view.frames);
        if (Math.max(grid.width, grid.height) <= 52) canvas.style.imageRendering = "pixelated";
        box.append(canvas);
      }
      box.append(el("small", {}, `sample ${example.number}`));
      const one = example.outputs.find((each) => each.chosen);
      if (one) {
        const wanted = one.label_class ?? one.reference_class;
        const got = one.chosen.at(-1);
        const right = got === wanted;
        const text = wanted === undefined ? one.names[got] : right ? `✓ ${one.names[got]}` : `✗ ${one.names[got]}, not ${one.names[wanted]}`;
        box.append(el("span", { class: wanted === undefined ? "" : right ? "good" : "bad" }, text));
      }
      radio.addEventListener("change", () => {
        state.example = number;
        choose(number);
      });
      host.append(box);
    }
  }

  // ---- Start -----------------------------------------------------------------------------------

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    const free = target === document.body || $("player").contains(target);
    if (!free || target.matches("select, input[type=radio]")) return;
    if (target === document.body && !inSight()) return;
    const moves = { ArrowLeft: state.frame - 1, ArrowRight: state.frame + 1, Home: 0, End: frames - 1 };
    if (event.key === " " && !target.matches("button")) {
      event.preventDefault();
      play(!state.playing);
    } else if (event.key in moves && !(target === document.body && event.key.length < 5)) {
      event.preventDefault();
      seek(moves[event.key]);
    }
  }

  function inSight() {
    const place = $("player").getBoundingClientRect();
    return place.top < window.innerHeight && place.bottom > 0;
  }

  function listen() {
    $("time").max = frames - 1;
    $("time").addEventListener("input", () => seek(Number($("time").value)));
    $("play").addEventListener("click", () => play(!state.playing));
    $("back").addEventListener("click", () => seek(state.frame - 1));
    $("forward").addEventListener("click", () => seek(state.frame + 1));
    document.addEventListener("keydown", keys);
    for (const radio of document.getElementsByName("mode")) {
      radio.addEventListener("change", () => {
        state.mode = radio.value;
        show(state.frame);
      });
    }
    for (const media of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(media).addEventListener("change", () => {
        readColours();
        show(state.frame);
      });
    }
    let waiting = 0;
    let width = window.innerWidth;
    window.addEventListener("resize", () => {
      if (window.innerWidth === width) return; // a phone's bars come and go
      width = window.innerWidth;
      clearTimeout(waiting);
      waiting = setTimeout(() => state.loaded && drawAll(), 150);
    });
    window.addEventListener("beforeprint", () => {
      for (const each of document.querySelectorAll("details")) each.open = true;
    });
  }

  async function start() {
    readColours();
    $("no-script").hidden = true;
    body.hidden = false;
    if (data.why_no_spikes) {
      $("no-spikes").textContent = data.why_no_spikes;
      $("no-spikes").hidden = false;
    }
    listen();
    await drawExamples();
    await choose(state.example);
    document.documentElement.dataset.player = "ready";
  }

  if (typeof DecompressionStream === "undefined") {
    $("player-error").textContent = "This browser is too old for the player: it lacks DecompressionStream. Chrome 103, Firefox 113 and Safari 16.4 and later have it.";
    $("player-error").hidden = false;
    $("no-script").hidden = true;
  } else {
    start();
  }
})();
