"""Outputs of any kind, judged by what the model was compiled with, or by what is asked for."""

from __future__ import annotations

import pickle

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert

X = np.random.default_rng(1).standard_normal((70, 6)).astype(np.float32)
IMAGES = np.random.default_rng(2).standard_normal((70, 5, 4, 2)).astype(np.float32)
RNG = np.random.default_rng(3)
STEPS = 12


def dense(units, activation=None):
    return [L.Dense(12, activation="relu"), L.Dense(units, activation=activation)]


def masks(activation, maps):
    return [L.Conv2D(4, 2, activation="relu"), L.Conv2D(maps, 1, activation=activation)]


def own(y, p):
    return keras.ops.max(keras.ops.abs(y - p), axis=-1)


# Layers, input, labels, loss, metrics. The masks have the shape (4, 3).
TASKS = {
    "regression": (dense(1), X, RNG.normal(size=(70, 1)), "mse", ["mae", own]),
    "Q-values": (dense(3), X, RNG.normal(size=(70, 3)), keras.losses.Huber(), ["mae"]),
    "multi-label": (
        dense(3, "sigmoid"),
        X,
        RNG.integers(0, 2, (70, 3)),
        "binary_crossentropy",
        ["binary_accuracy", keras.metrics.AUC(name="auc", multi_label=True)],
    ),
    "binary": (
        dense(1, "sigmoid"),
        X,
        RNG.integers(0, 2, 70),
        "binary_crossentropy",
        ["accuracy", keras.metrics.Recall(name="recall")],
    ),
    "classes": (
        dense(3, "softmax"),
        X,
        RNG.integers(0, 3, 70),
        "sparse_categorical_crossentropy",
        ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
    ),
    "one-hot": (
        dense(3, "softmax"),
        X,
        np.eye(3)[RNG.integers(0, 3, 70)],
        "categorical_crossentropy",
        ["accuracy", "mse"],
    ),
    "mask": (
        masks("softmax", 3),
        IMAGES,
        RNG.integers(0, 3, (70, 4, 3)),
        "sparse_categorical_crossentropy",
        ["accuracy", keras.metrics.MeanIoU(3, sparse_y_pred=False, name="iou")],
    ),
    "binary mask": (
        masks("sigmoid", 1),
        IMAGES,
        RNG.integers(0, 2, (70, 4, 3, 1)),
        "binary_crossentropy",
        ["binary_accuracy"],
    ),
    "autoencoder": (
        [L.Flatten(), L.Dense(12, activation="relu"), L.Dense(40), L.Reshape((5, 4, 2))],
        IMAGES,
        IMAGES,
        "mae",
        ["mse"],
    ),
}
CLASSES = {"binary", "classes", "one-hot"}


def build(name):
    layers, x, y, loss, metrics = TASKS[name]
    clones = [layer.__class__.from_config(layer.get_config()) for layer in layers]
    model = keras.Sequential([keras.Input(x.shape[1:]), *clones])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) / 2 for w in model.get_weights()])
    model.compile("adam", loss, metrics=metrics)
    return model, x, y


@pytest.mark.parametrize(
    ("name", "weighted"),
    # Keras takes no weight for a sample where a loss has a value for each pixel.
    [*((name, False) for name in TASKS), *((name, True) for name in TASKS if TASKS[name][1] is X)],
)
def test_what_the_model_was_compiled_with(name, weighted):
    model, x, y = build(name)
    weights = RNG.uniform(0, 2, 70) if weighted else None
    if weighted:
        # Of class numbers Keras has no squared error.
        also = {} if name in ("binary", "classes") else {"metrics": ["mse"]}
        model.compile("adam", model.loss, weighted_metrics=TASKS[name][4], **also)
    spiking = kconvert.convert(model, calibration=x)
    result = spiking.evaluate(x, y, STEPS, sample_weight=weights, batch_size=16)
    for metric in TASKS[name][4]:
        if isinstance(metric, keras.metrics.Metric):
            metric.reset_state()  # Keras leaves to a new model what it counted in another
    expected = model.evaluate(x, y, sample_weight=weights, return_dict=True, verbose=0)
    assert set(result.metrics) == set(result.reference_metrics) == set(expected)
    for metric, value in expected.items():
        assert result.reference_metrics[metric] == pytest.approx(value, rel=1e-4), metric
        assert result.metrics[metric].shape == (STEPS,)
    assert (result.accuracy is not None) == (name in CLASSES)
    of_weighted = weighted and "accuracy" in TASKS[name][4]
    assert ("McNemar" in str(result)) == (name in CLASSES and not of_weighted)
    assert pickle.loads(pickle.dumps(result)).reference_metrics == result.reference_metrics
    # The figures at the last step are those of what predict gives: each sample's value is kept.
    outputs = spiking.predict(x, STEPS)
    if name == "regression":
        errors = (outputs - y)[:, 0] ** 2 * (1.0 if weights is None else weights)
        np.testing.assert_allclose(result.scores["loss"], errors, rtol=1e-4)
        assert result.metrics["loss"][-1] == pytest.approx(errors.mean())
        assert "loss: " in str(result)


def test_paired_bootstrap():
    model, x, y = build("regression")
    result = kconvert.convert(model, calibration=x).evaluate(x, y, 5)
    difference, low, high = result.difference("loss")
    pairs = result.scores["loss"] - result.reference_scores["loss"]
    assert difference == pytest.approx(pairs.mean())
    # Of 70 means the bootstrap's spread is the standard error, to within its own noise.
    error = pairs.std() / np.sqrt(70)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert low < difference < high
    assert result.difference("loss") == (difference, low, high)
    with pytest.raises(kconvert.InputError, match="metric must be one of"):
        result.difference("auc")


def test_metrics_that_are_asked_for():
    model, x, y = build("regression")
    spiking = kconvert.convert(model, calibration=x)
    asked = ["mse", own, keras.metrics.RootMeanSquaredError(name="rmse"), keras.losses.LogCosh()]
    result = spiking.evaluate(x, y, 4, metrics=asked)
    assert list(result.metrics) == ["mse", "own", "rmse", "log_cosh"]
    np.testing.assert_allclose(result.metrics["rmse"] ** 2, result.metrics["mse"], rtol=1e-4)
    with pytest.raises(kconvert.InputError, match="Keras knows no 'speed'"):
        spiking.evaluate(x, y, 2, metrics=["speed"])
    with pytest.raises(kconvert.InputError, match="must give a value for each of"):
        spiking.evaluate(x, y, 2, metrics=[lambda y, p: keras.ops.zeros(3)])
    with pytest.raises(kconvert.InputError, match="broadcast against each other"):
        spiking.evaluate(x, y[:, 0], 2, metrics=[lambda y, p: y - p])
    # One value for a batch is a mean over samples, or is refused.
    found = spiking.evaluate(x, y, 4, metrics=[lambda y, p: keras.ops.mean((y - p) ** 2)])
    np.testing.assert_allclose(found.metrics["<lambda>"], result.metrics["mse"], rtol=1e-4)
    with pytest.raises(kconvert.InputError, match="one value for a batch, which is not the mean"):
        spiking.evaluate(x, y, 2, metrics=[lambda y, p: keras.ops.max(y - p)])


def test_a_network_without_keras(tmp_path):
    model, x, y = build("regression")
    spiking = kconvert.convert(model, calibration=x)
    spiking.save(tmp_path / "net")
    alone = kconvert.load(tmp_path / "net.kconvert")
    result = alone.evaluate(x, y, 6)
    assert list(result.metrics) == ["mse", "mae"]
    assert result.reference_metrics is None
    expected = spiking.evaluate(x, y, 6).metrics["loss"]
    np.testing.assert_allclose(result.metrics["mse"], expected, rtol=1e-5)
    found = alone.evaluate(x, y, 6, metrics=[lambda y, p: abs(y - p)])
    np.testing.assert_allclose(*(r.metrics[k] for r, k in ((found, "<lambda>"), (result, "mae"))))
    with pytest.raises(kconvert.InputError, match="need the Keras model"):
        alone.evaluate(x, y, 2, metrics=["cosine_similarity"])


def test_several_outputs():
    inputs = keras.Input((6,))
    hidden = L.Dense(12, activation="relu")(inputs)
    ends = [L.Dense(3, activation="softmax", name="kind")(hidden), L.Dense(1, name="size")(hidden)]
    model = keras.Model(inputs, ends)
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"], metrics=[["acc"], ["mae"]])
    kinds, sizes = np.arange(70) % 3, RNG.normal(size=70)
    spiking = kconvert.convert(model, calibration=X)
    both = spiking.evaluate(X, [kinds, sizes], 5)
    assert {name: list(each.metrics) for name, each in both.items()} == {
        "kind": ["accuracy", "loss"],
        "size": ["mae", "loss"],
    }
    assert set(spiking.about["evaluation"]) == {"kind", "size"}
    for name, y in (("kind", kinds), ("size", sizes)):
        alone = spiking.evaluate(X, y, 5, output=name)
        np.testing.assert_array_equal(alone.metrics["loss"], both[name].metrics["loss"])
        assert spiking.evaluate(X, {name: y}, 5).keys() == {name}
    with pytest.raises(kconvert.InputError, match="output must name"):
        kconvert.tune(model, X, {"kind": kinds, "size": sizes}, max_steps=2)


def test_tune_judges_by_the_loss():
    model, x, _ = build("regression")
    y = model.predict(x, verbose=0)[:, 0] + RNG.normal(size=70)
    found = kconvert.tune(model, x, y, max_steps=40, max_loss=0.2, candidates=[{"calibration": x}])
    assert (found.metric, found.reference_accuracy, found.met) == ("loss", None, True)
    curve = found.best.evaluation.metrics["loss"]
    most = 1.2 * found.reference
    assert (curve[found.best.n_steps - 1 :] <= most + 1e-6).all()
    assert found.best.n_steps == 1 or curve[found.best.n_steps - 2] > most
    assert "accepted: 20 % more" in str(found)


# What is asked for, what it is judged by, whether it should rise, and what is accepted of 0.2.
JUDGED = {
    "regression": [
        (None, "loss", "min"),
        (["mae"], "mae", "min"),
        ([keras.metrics.R2Score(name="r2"), "mse"], "r2", "max"),
        ([keras.losses.Huber()], "huber_loss", "min"),
        (["huber"], "huber", "min"),
    ],
    "multi-label": [
        (None, "loss", "min"),
        (["binary_accuracy"], "binary_accuracy", "max"),
        ([keras.metrics.F1Score(threshold=0.5, name="f1")], "f1", "max"),
    ],
    "binary": [
        (None, "accuracy", "max"),
        ([keras.metrics.AUC(name="auc")], "auc", "max"),
        (["binary_crossentropy", "accuracy"], "binary_crossentropy", "min"),
    ],
    "classes": [(None, "accuracy", "max"), (["acc"], "accuracy", "max")],
    "mask": [
        (None, "loss", "min"),
        ([keras.metrics.MeanIoU(3, sparse_y_pred=False, name="iou")], "iou", "max"),
        (["accuracy"], "accuracy", "max"),
    ],
    "autoencoder": [(None, "loss", "min")],
}


@pytest.mark.parametrize(
    ("name", "metrics", "metric", "mode"),
    [(name, *each) for name, cases in JUDGED.items() for each in cases],
)
def test_tune_judges_by_what_is_asked_for(name, metrics, metric, mode):
    model, x, y = build(name)
    weights = np.linspace(0.5, 2, 70) if x is X else None  # Keras counts pixels in whole numbers
    candidates = [{"calibration": x}, {"scale_firing_rates": 3.0}]
    found = kconvert.tune(
        model,
        x,
        y,
        metrics=metrics,
        sample_weight=weights,
        max_steps=16,
        max_loss=0.2,
        candidates=candidates,
    )
    assert (found.metric, found.criterion.mode) == (metric, mode)
    own = kconvert.convert(model, calibration=x).evaluate(
        x, y, 16, metrics=metrics, sample_weight=weights
    )
    assert found.reference == own.reference_metrics[metric]
    np.testing.assert_array_equal(
        found.candidates[0].evaluation.metrics[metric], own.metrics[metric]
    )
    accepted = found.reference - 0.2 if mode == "max" else 1.2 * found.reference
    assert found.criterion.accepted == pytest.approx(accepted)
    for each in found.candidates:
        curve = each.evaluation.metrics[metric]
        good = curve >= accepted - 1e-6 if mode == "max" else curve <= accepted + 1e-6
        if each.n_steps is None:
            assert not good[-1]
        else:
            assert good[each.n_steps - 1 :].all()
            assert each.n_steps == 1 or not good[each.n_steps - 2]
            assert each.value == curve[each.n_steps - 1]
    assert found.met == any(each.n_steps for each in found.candidates)
    assert ("error" if metric == "accuracy" else metric) in str(found)


def test_tune_by_a_function_needs_its_direction():
    model, x, y = build("regression")
    how = {"max_steps": 12, "max_loss": 0.3, "candidates": [{"calibration": x}]}
    with pytest.raises(kconvert.InputError, match="'own' should fall or rise: pass mode='min'"):
        kconvert.tune(model, x, y, metrics=[own], **how)
    found = kconvert.tune(model, x, y, metrics=[own], mode="min", **how)
    assert found.criterion.accepted == pytest.approx(1.3 * found.reference)
    # What rises and is no metric of Keras may lose a share of its value: it need not end at 1.
    found = kconvert.tune(model, x, y, metrics=[own], mode="max", **how)
    assert found.criterion.accepted == pytest.approx(0.7 * found.reference)


def test_one_of_several_outputs_is_tuned():
    inputs = keras.Input((6,))
    hidden = L.Dense(12, activation="relu")(inputs)
    ends = [L.Dense(3, activation="softmax", name="kind")(hidden), L.Dense(1, name="size")(hidden)]
    model = keras.Model(inputs, ends)
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"], metrics=[["acc"], ["mae"]])
    kinds, sizes = np.arange(70) % 3, RNG.normal(size=70)
    how = {"max_steps": 6, "candidates": [{"calibration": X}]}
    for y in ([kinds, sizes], {"kind": kinds, "size": sizes}):
        assert kconvert.tune(model, X, y, output="kind", **how).metric == "accuracy"
        assert kconvert.tune(model, X, y, output="size", **how).metric == "loss"
        by_name = {"size": ["mae"], "kind": ["sparse_top_k_categorical_accuracy"]}
        found = kconvert.tune(model, X, y, output="size", metrics=by_name, **how)
        assert found.metric == "mae"


def test_logits_of_one_unit_are_counted_as_keras_does_and_as_classes():
    """Keras counts class 1 above 0.5, also of logits."""
    model = keras.Sequential([keras.Input((6,)), *dense(1)])
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    logits = model.predict(X, verbose=0)[:, 0]
    y = (logits > 0).astype(int)
    assert ((logits > 0) & (logits < 0.5)).any()  # else it says nothing
    result = kconvert.convert(model, calibration=X).evaluate(X, y, 20)
    expected = model.evaluate(X, y, return_dict=True, verbose=0)
    assert result.reference_accuracy == result.reference_metrics["class_accuracy"] == 1.0
    assert result.reference_metrics["accuracy"] == pytest.approx(expected["accuracy"]) != 1.0
    assert "\naccuracy: " in str(result)


@pytest.mark.parametrize("has_it", [True, False])
def test_what_keras_keeps_private(has_it, monkeypatch):
    """Without the private attribute, what Keras' public way gives back is taken."""
    model, x, y = build("multi-label")
    wanted = kconvert.convert(model, calibration=x).evaluate(x, y, 3)
    public = model.get_compile_config()
    if has_it:
        # Only the objects, and no writing and reading of them.
        monkeypatch.setattr(type(model), "get_compile_config", None)
    else:
        monkeypatch.setattr(type(model), "get_compile_config", lambda self: public)
        monkeypatch.setattr(model, "_compile_config", None)
    found = kconvert.convert(model, calibration=x).evaluate(x, y, 3)
    assert list(found.metrics) == list(wanted.metrics)
    assert found.reference_metrics == pytest.approx(wanted.reference_metrics)


def test_functions_that_keras_does_not_give_back(monkeypatch):
    model, x, y = build("regression")
    monkeypatch.setattr(model, "_compile_config", None)
    monkeypatch.setattr(
        type(model),
        "get_compile_config",
        lambda self: {"metrics": [{"class_name": "function", "config": "own", "module": "x"}]},
    )
    spiking = kconvert.convert(model, calibration=x)
    with pytest.raises(kconvert.InputError, match=r"does not tell what.*with metrics=\[...\]"):
        spiking.evaluate(x, y, 2)
    assert "mae" in spiking.evaluate(x, y, 2, metrics=["mae"]).metrics


def test_a_network_from_a_file_knows_its_task(tmp_path):
    expected = {
        "regression": (False, 0.0, ("mse", "mae")),
        "Q-values": (False, 0.0, ("mae",)),
        "multi-label": (False, 0.5, ("binary_accuracy",)),
        "binary": (True, 0.5, ("accuracy",)),
        "classes": (True, 0.0, ("accuracy",)),
        "one-hot": (True, 0.0, ("accuracy", "mse")),
        "mask": (False, 0.0, ("accuracy",)),
        "binary mask": (False, 0.5, ("binary_accuracy",)),
        "autoencoder": (False, 0.0, ("mse", "mae")),
    }
    for name, (classes, threshold, metrics) in expected.items():
        model, x, y = build(name)
        spiking = kconvert.convert(model, calibration=False)
        spiking.save(tmp_path / "net")
        alone = kconvert.load(tmp_path / "net.kconvert")
        [task] = alone.tasks
        assert (task.classes, task.threshold, task.metrics) == (classes, threshold, metrics), name
        assert alone.tasks == spiking.tasks
        found, wanted = alone.evaluate(x, y, 5), spiking.evaluate(x, y, 5)
        assert set(found.metrics) == set(metrics)
        for metric, values in found.metrics.items():
            same = metric if metric in wanted.metrics else "loss"
            np.testing.assert_allclose(values, wanted.metrics[same], rtol=1e-5, err_msg=name)
        # The labels of a regression may look like classes.
        if name == "regression":
            assert alone.evaluate(x, np.arange(70) % 2, 2).accuracy is None
        model.compiled = False
        assert kconvert.load(tmp_path / "net.kconvert", model).tasks == alone.tasks


def test_the_clone_of_a_model_that_was_compiled_with_a_function():
    """Keras cannot clone it as it is."""
    model, x, _ = build("regression")
    with pytest.raises(TypeError, match="own"):
        keras.models.clone_model(model)
    clone = kconvert.convert(model, calibration=x).to_keras()
    assert model.compiled
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))


def direct_wilson(right, n, z):
    """Wilson 1927, equation for the ends."""
    p = right / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def test_intervals_and_tests_against_their_formulas():
    from math import comb

    from scipy.stats import bootstrap, norm

    model, x, _ = build("classes")
    y = model.predict(x, verbose=0).argmax(axis=1)
    y[:9] = (y[:9] + 1) % 3
    result = kconvert.convert(model, calibration=x[:3]).evaluate(x, y, 4)
    right = int((result.classes == y).sum())
    for confidence in (0.8, 0.95):
        z = norm.ppf(0.5 + confidence / 2)
        np.testing.assert_allclose(result.interval(confidence), direct_wilson(right, 70, z))
    lost, gained = result.lost_and_gained
    before = result.reference_classes == y
    assert lost == sum(b and a != c for b, a, c in zip(before, result.classes, y, strict=True))
    assert lost + gained > 3  # else it says nothing
    n, few = lost + gained, min(lost, gained)
    tail = 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n
    assert result.p_value == pytest.approx(min(tail, 1.0))
    # The bootstrap's ends are those of SciPy, to within the noise of the drawing.
    difference, low, high = result.difference("loss", n_resamples=20_000)
    pairs = result.scores["loss"] - result.reference_scores["loss"]
    other = bootstrap(
        (pairs,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert difference == pytest.approx(pairs.mean())
    width = high - low
    assert abs(low - other.low) < 0.03 * width
    assert abs(high - other.high) < 0.03 * width


@pytest.mark.parametrize(
    ("name", "y", "match"),
    [
        ("regression", np.full(70, np.nan), "holds NaN"),
        ("regression", np.zeros((70, 2)), "must have the shape"),
        ("regression", np.array(["a"] * 70), "must hold numbers"),
        ("mask", np.full((70, 4, 3), 3), "class numbers from 0 to 2"),
        ("classes", RNG.integers(0, 2, (70, 3)) * 0 + 1, "one-hot"),
        ("classes", RNG.normal(size=70), "class numbers from 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(name, y, match):
    model, x, _ = build(name)
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.convert(model, calibration=False).evaluate(x, y, 2)


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(70), np.zeros(70), np.full(70, np.nan)])
def test_weights_that_do_not_fit_are_refused(weights):
    model, x, y = build("regression")
    with pytest.raises(kconvert.InputError, match="sample_weight must hold"):
        kconvert.convert(model, calibration=False).evaluate(x, y, 2, sample_weight=weights)
