"""A report in real, headless Chromium: it loads alone, plays, and can be read by everyone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L
from test_report import arrays, player

import kconvert

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
RNG = np.random.default_rng(11)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on PATH: apt-get install chromium")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


class Opened:
    """A page in a window of its own, and what it said and asked for."""

    def __init__(self, browser, path: Path, width: int = 1200, **how) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, **how)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.path = path
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-player=ready]")

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                assert self.said == []
                assert [url for url in self.asked if not url.startswith("data:")] == [
                    self.path.as_uri()
                ]
        finally:
            self.context.close()

    @property
    def clock(self) -> str:
        return self.page.inner_text("#clock")

    def of_layer(self, code: str, layer: int) -> object:
        """What some code gives for a copy of a layer's maps, and of the colour of spikes."""
        return self.page.evaluate(
            f"""(number) => {{
                const drawn = document.querySelectorAll('.layer canvas[role=img]')[number];
                const copy = new OffscreenCanvas(drawn.width, drawn.height);
                const context = copy.getContext('2d', {{willReadFrequently: true}});
                context.drawImage(drawn, 0, 0);
                const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
                const root = getComputedStyle(document.documentElement);
                const hex = root.getPropertyValue('--spike').trim();
                const spike = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
                return {code};
            }}""",
            layer,
        )

    def picture(self, layer: int = 0) -> object:
        """The pixels of a layer's maps."""
        return self.of_layer("pixels.join()", layer)

    def n_spikes(self, layer: int) -> object:
        """Cells of a layer in the colour of spikes."""
        same = "spike.every((part, k) => pixels[4 * pixel + k] === part)"
        every = "[...Array(pixels.length / 4).keys()]"
        return self.of_layer(f"{every}.filter((pixel) => {same}).length", layer)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, digits):
    """The page of the reference CNN."""
    from reference import load_model

    spiking = kconvert.convert(load_model())
    path = tmp_path_factory.mktemp("report") / "reference.html"
    x, y = digits.x_test[:10], digits.y_test[:10]
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return spiking.report(x, y, path, class_names=names)


def test_size(reference):
    """Of the reference CNN with eight examples of 30 steps."""
    path = reference
    assert path.stat().st_size < 5_000_000
    data = player(path)
    assert len(data["examples"]) == 8
    assert [layer["note"] for layer in data["layers"]] == [""] * 3  # every neuron is there


def test_what_is_drawn_is_what_was_simulated(reference, browser):
    """Pixels in the colour of spikes are counted, at steps that keys and slider lead to."""
    path = reference
    data = player(path)
    with Opened(browser, path) as opened:
        page = opened.page
        page.check("input[name=mode][value=now]")
        for keys, frame in (
            (["Home"], 0),
            (["ArrowRight"] * 3, 3),
            (["ArrowLeft"], 2),
            (["End"], 29),
        ):
            page.focus("#time")
            for key in keys:
                page.keyboard.press(key)
            assert opened.clock.startswith(f"step {frame + 1} of 30")
            for layer in range(3):
                drawn = opened.n_spikes(layer)
                assert drawn == (arrays(data, 0, layer)[frame] != 0).sum() > 0


def test_the_player_plays_and_pauses(reference, browser):
    path = reference
    with Opened(browser, path) as opened:
        page = opened.page
        assert opened.clock == "step 30 of 30 · 30 ms"
        end = opened.picture()
        page.focus("#time")
        page.keyboard.press("Space")
        assert page.get_attribute("#play", "aria-label") == "Pause"
        page.wait_for_function("() => Number(document.getElementById('time').value) >= 2")
        page.keyboard.press("Space")
        assert page.get_attribute("#play", "aria-label") == "Play"
        frame = int(page.input_value("#time"))
        assert opened.picture() != end
        assert "step" in page.get_attribute("#time", "aria-valuetext")
        page.click("#forward")
        assert int(page.input_value("#time")) == min(frame + 1, 29)
        page.select_option("#speed", "3")
        page.click("#play")
        page.wait_for_function("() => document.getElementById('play').ariaLabel === 'Play'")
        assert opened.clock.startswith("step 30 of 30")  # it stops at the end
        assert opened.picture() == end


def test_examples_are_chosen_by_mouse_and_keys(reference, browser):
    path = reference
    data = player(path)
    with Opened(browser, path) as opened:
        page = opened.page
        first = opened.picture()
        page.focus("input[name=example]")
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "text => document.querySelector('.layer .fine').textContent.includes(text)",
            arg=f"{sum(data['examples'][1]['layers'][0]['counts']):,} so far",
        )
        assert opened.picture() != first
        [output] = data["examples"][1]["outputs"]
        shown = page.inner_text("#outputs .verdict")
        assert output["names"][str(output["chosen"][-1])] in shown
        assert output["names"][str(output["reference_class"])] in shown
        page.locator(".example").nth(7).click()
        page.wait_for_function(
            "text => document.querySelector('.layer .fine').textContent.includes(text)",
            arg=f"{sum(data['examples'][7]['layers'][0]['counts']):,} so far",
        )
        chosen = page.locator("#outputs tr.chosen th").inner_text()
        [output] = data["examples"][7]["outputs"]
        assert chosen == output["names"][str(output["chosen"][-1])]


def dense(units: int, **how):
    return L.Dense(units, activation="relu", **how)


def small_pages() -> dict:
    """Name to a model, its input, its labels, other arguments, and what its page shows."""
    image = keras.Input((8, 6, 3))
    maps = L.Conv2D(4, 3, padding="same", activation="relu")(image)
    mask = keras.Model(image, L.Conv2D(3, 1, activation="softmax")(maps))
    picture = keras.Model(image, L.Conv2D(1, 1)(maps))
    left, right = keras.Input((8, 6, 1), name="left"), keras.Input((4,), name="right")
    both = dense(12)(L.Concatenate()([L.Flatten()(left), right]))
    two = keras.Model(
        [left, right], [L.Dense(3, "softmax", name="kind")(both), L.Dense(2, name="size")(both)]
    )
    two.compile("adam", ["sparse_categorical_crossentropy", "mse"])
    value = keras.Sequential([keras.Input((40,)), dense(30), L.Dense(1)])
    value.compile("adam", "mse")
    curve = keras.Sequential([keras.Input((5,)), dense(30), L.Dense(60)])
    curve.compile("adam", "mse")
    tones = keras.Sequential(
        [keras.Input((20, 4)), L.Conv1D(6, 3, activation="relu"), L.Flatten(), L.Dense(3)]
    )
    many = keras.Sequential([keras.Input((6,)), dense(9), L.Dense(50, "softmax")])
    moving = keras.Sequential([keras.Input((8, 6, 2)), dense(5), L.Flatten(), L.Dense(3)])
    x = RNG.random((6, 8, 6, 3)).astype(np.float32)
    kinds = np.arange(6) % 3
    return {
        "vector": (value, RNG.random((6, 40)), RNG.random((6, 1)), {}, "line", "bars"),
        "curve": (curve, RNG.random((6, 5)), RNG.random((6, 60)), {}, "bars", "line"),
        "sequence": (tones, RNG.random((6, 20, 4)), kinds, {}, "maps", "bars"),
        "mask": (mask, x, (x.sum(axis=-1) > 1.5).astype(int), {}, "image", "mask"),
        "picture": (picture, x, None, {}, "image", "maps"),
        "two": (
            two,
            [x[..., :1], RNG.random((6, 4))],
            [kinds, RNG.random((6, 2))],
            {},
            "maps",
            "bars",
        ),
        "many": (many, RNG.random((6, 6)), None, {"n_steps": 200}, "bars", "bars"),
        "moving": (moving, RNG.random((6, 15, 8, 6, 2)), kinds, {}, "maps", "bars"),
    }


@pytest.fixture(scope="module")
def pages() -> dict:
    return small_pages()


NAMES = ("vector", "curve", "sequence", "mask", "picture", "two", "many", "moving")


@pytest.mark.parametrize("name", NAMES)
def test_other_data(name, pages, browser, tmp_path):
    """Vectors, sequences, regression, masks, several inputs and outputs, input that moves."""
    model, x, y, how, wanted_input, wanted_output = pages[name]
    samples = x.mean(axis=1) if name == "moving" else x
    spiking = kconvert.convert(model, calibration=samples)
    path = spiking.report(x, y, tmp_path / "a.html", **how)
    data = player(path)
    assert data["inputs"][0]["kind"] == wanted_input
    assert data["outputs"][0]["kind"] == wanted_output or data["outputs"][0]["classes"]
    with Opened(browser, path, 360) as opened:
        page = opened.page
        assert page.locator("#inputs .panel").count() == len(data["inputs"])
        assert page.locator("#outputs .panel").count() == len(data["outputs"])
        assert page.locator(".layer").count() == len(data["layers"]) > 0
        before = page.inner_html("#outputs")
        picture = opened.picture()
        page.focus("#time")
        page.keyboard.press("Home")
        assert page.inner_html("#outputs") != before
        assert opened.picture() != picture
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("spiking", [True, False])
def test_networks_without_spikes(spiking, browser, tmp_path):
    layers = [L.Dense(3)] if spiking else [dense(4), L.Dense(3)]
    network = kconvert.convert(
        keras.Sequential([keras.Input((4,)), *layers]), spiking=spiking, calibration=False
    )
    path = network.report(RNG.random((3, 4)), path=tmp_path / "a.html", n_steps=5)
    with Opened(browser, path) as opened:
        text = opened.page.inner_text("#no-spikes")
    assert text == (
        "This network has no neurons that spike."
        if spiking
        else "This is a rate network: its neurons send rates, and no spikes."
    )


@pytest.mark.parametrize("width", [320, 360, 768, 1200])
def test_no_page_is_wider_than_its_window(width, reference, browser):
    with Opened(browser, reference, width) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """() => {
    const parse = (text) => {
        const found = text.match(/[\\d.]+/g).map(Number);
        return found.length > 3 ? found : [...found, 1];
    };
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = parse(getComputedStyle(each).backgroundColor);
            if (colour[3] === 1) return colour;
        }
        return [255, 255, 255, 1];
    };
    const low = [];
    const seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let n = 0;
    while (seen.nextNode()) {
        const element = seen.currentNode.parentElement;
        if (!seen.currentNode.data.trim() || !element.checkVisibility()) continue;
        if (element.closest('script, style, .hidden, .skip, select')) continue;
        n += 1;
        const style = getComputedStyle(element);
        const front = parse(element.closest('svg') ? style.fill : style.color);
        const [a, b] = [light(front), light(behind(element))].sort((x, y) => y - x);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < (large ? 3 : 4.5)) low.push([element.outerHTML.slice(0, 120), ratio]);
    }
    return [n, low];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(scheme, reference, browser):
    """At least that of WCAG 2.2, level AA: 4.5, or 3 for large text."""
    with Opened(browser, reference, color_scheme=scheme) as opened:
        opened.page.evaluate(
            "document.querySelectorAll('details').forEach(each => each.open = true)"
        )
        n, low = opened.page.evaluate(CONTRAST)
    assert n > 100
    assert low == []


NAMELESS = """() => [...document.querySelectorAll(
    'button, input, select, canvas, svg, [role=region], nav, section, a'
)].filter((each) => {
    if (each.closest('[aria-hidden=true]') || !each.checkVisibility()) return false;
    const named = each.getAttribute('aria-labelledby');
    const text = named ? document.getElementById(named)?.textContent
        : each.getAttribute('aria-label') || each.labels?.[0]?.textContent || each.textContent;
    return !text || !text.trim();
}).map((each) => each.outerHTML.slice(0, 120))"""


def test_everything_has_a_name_and_can_be_reached_by_keys(reference, browser):
    with Opened(browser, reference) as opened:
        page = opened.page
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate("document.documentElement.lang") == "en"
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
        assert len(ids) == len(set(ids))
        levels = page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, h4')].map(each => Number(each.tagName[1]))"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        reached = []
        for _ in range(25):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate("document.activeElement.id || document.activeElement.name || ''")
            )
        order = ["example", "play", "back", "time", "forward", "speed", "mode"]
        assert [name for name in reached if name in order] == order


def test_it_prints(reference, browser):
    with Opened(browser, reference, 760, color_scheme="dark") as opened:
        page = opened.page
        dark = opened.picture()
        page.emulate_media(media="print")
        page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        assert opened.picture() != dark  # on paper every reader has the light colours
        assert opened.n_spikes(0) > 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 760
        for hidden in (".transport", ".examples", "nav"):
            assert not page.is_visible(hidden)
        assert page.is_visible(".layer canvas[role=img]")
        sheets = page.pdf(format="A4")
    assert sheets.startswith(b"%PDF")
    assert 2 <= sheets.count(b"/Type /Page\n") <= 12


def test_without_scripts_the_rest_is_there(reference, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reference.as_uri())
    assert page.is_visible("text=The player needs JavaScript")
    assert page.is_visible("#layers table")
    assert not page.is_visible("#player-body")
    context.close()
