"""What the command line reads: arrays, images and data sets."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kconvert
from kconvert.cli import data_sets
from kconvert.cli.images import APPLICATIONS, FITS, Preprocessing, read_images
from kconvert.cli.samples import read_samples, with_classes_of

SHAPE = {"x": (4, 6, 3)}


def save(path: Path, pixels: np.ndarray, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(how.pop("dtype", np.uint8))).save(path, **how)
    return path


def test_digits_are_those_of_the_examples(digits):
    for part, x, y in (
        ("train", digits.x_train, digits.y_train),
        ("test", digits.x_test, digits.y_test),
    ):
        found = read_samples(f"mnist5k:{part}", {"x": (28, 28, 1)})
        np.testing.assert_allclose(found.x, x, atol=1e-7)  # float32 and float64
        assert np.array_equal(found.y, y)
    flat = read_samples("mnist5k", {"x": (784,)}, n=3)
    np.testing.assert_allclose(flat.x, digits.x_test[:3].reshape(3, 784), atol=1e-7)


def test_folders_are_classes_as_keras_has_them(tmp_path):
    for k, name in enumerate(("owl", "cat", "Dog", ".hidden", "10", "9")):
        for number in range(3):
            save(tmp_path / name / f"{number}.png", np.full((4, 6, 3), 40 * k + number))
    found = read_samples(str(tmp_path), SHAPE)
    loaded = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(4, 6), shuffle=False, batch_size=None, verbose=False
    )
    pairs = list(loaded)
    assert found.class_names == tuple(loaded.class_names)
    assert found.y.tolist() == [int(label) for _, label in pairs]
    np.testing.assert_allclose(found.x, np.stack([image for image, _ in pairs]) / 255, atol=1e-6)
    few = read_samples(str(tmp_path), SHAPE, n=5)
    assert few.y.tolist() == [0, 1, 2, 3, 4]  # of every class, not of the first only
    assert few.names[-1] == str(Path("owl/2.png"))


def test_folders_have_the_numbers_of_the_networks_classes(tmp_path):
    for name in ("dog", "owl"):
        save(tmp_path / name / "1.png", np.zeros((4, 6, 3)))
    found = read_samples(str(tmp_path), SHAPE)
    assert with_classes_of(found, ["owl", "cat", "dog"], [3]).y.tolist() == [2, 0]
    assert with_classes_of(found, None, [2]).y.tolist() == [0, 1]
    assert with_classes_of(found, None, [1]).y.tolist() == [0, 1]
    with pytest.raises(kconvert.InputError, match="2 folders, and the network has 3 classes"):
        with_classes_of(found, None, [3])


def test_fit(tmp_path):
    """A wide image with a bright middle, for a square input."""
    pixels = np.zeros((20, 60))
    pixels[:, 20:40] = 255
    path = save(tmp_path / "wide.png", pixels)
    found = {
        fit: read_images([path], {"x": (12, 12, 1)}, Preprocessing(fit=fit))[0, ..., 0]
        for fit in FITS
    }
    assert found["stretch"][:, :3].max() < 0.01
    assert found["stretch"][:, 5:7].min() > 0.99
    assert found["crop"].min() > 0.8  # its edges are blended with what is beside them
    assert found["crop"][:, 1:-1].min() > 0.99
    assert found["pad"][:3].max() < 0.01
    assert found["pad"][5:7, 5:7].min() > 0.99
    assert found["pad"][5:7, :3].max() < 0.01


def test_kinds_of_images(tmp_path):
    """Every kind has the same grey as 8 bits have it."""
    grey = np.full((4, 6), 100)
    save(tmp_path / "8.png", grey)
    save(tmp_path / "16.png", grey * 257, dtype=np.uint16)
    save(tmp_path / "rgb.png", np.repeat(grey[..., None], 3, -1))
    save(tmp_path / "rgba.png", np.dstack([grey, grey, grey, grey * 2]))
    (tmp_path / "8.png").rename(tmp_path / "capitals.PNG")
    found = read_samples(str(tmp_path), {"x": (4, 6, 1)})
    assert found.y is None
    assert found.names == ("16.png", "capitals.PNG", "rgb.png", "rgba.png")
    np.testing.assert_allclose(found.x, 100 / 255, atol=0.003)
    first = read_samples(str(tmp_path), {"x": (3, 4, 6)})
    assert first.x.shape == (4, 3, 4, 6)

    turned = Image.Exif()
    turned[0x0112] = 6  # held upright, saved on its side
    pixels = np.zeros((40, 60))
    pixels[:, :30] = 255
    path = save(tmp_path / "held.jpg", pixels, exif=turned)
    upright = read_images([path], {"x": (60, 40, 1)}, Preprocessing())[0, ..., 0]
    assert upright[:25].min() > 0.9
    assert upright[35:].max() < 0.1


@pytest.mark.parametrize("mode", APPLICATIONS)
def test_preprocessing_is_that_of_keras(mode, rng):
    x = rng.integers(0, 256, (2, 4, 6, 3)).astype(np.float32)
    wanted = keras.applications.imagenet_utils.preprocess_input(
        x.copy(), data_format="channels_last", mode=mode
    )
    np.testing.assert_allclose(Preprocessing(mode=mode).images(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("0", None, "stretch"), "--scale must be"),
        (("1/0", None, "stretch"), "--scale must be"),
        (("nan", None, "stretch"), "--scale must be"),
        (("1", "tf", "stretch"), "--scale or --preprocess"),
        ((None, "tff", "stretch"), "Did you mean 'tf'"),
        ((None, None, "crpo"), "Did you mean 'crop'"),
    ],
)
def test_preprocessing_that_cannot_be(given, text):
    with pytest.raises(kconvert.InputError, match=text):
        Preprocessing.read(*given)


def test_scale():
    assert Preprocessing.read("1/255", None, "stretch").scale == pytest.approx(1 / 255)
    x = np.array([[0, 51]], np.uint8)
    np.testing.assert_allclose(Preprocessing(1 / 255).arrays(x), [[0, 0.2]], atol=1e-7)
    assert Preprocessing().arrays(x) is x


FILES = {
    "objects.npy": (np.array([{}]), "cannot be read as a NumPy file"),
    "nothing.npy": (np.zeros((0, 3)), "has no samples"),
    "scalar.npy": (np.float32(3), "has no samples"),
    "two.npz": ({"a": np.zeros(3), "b": np.zeros(3)}, "has the arrays a, b"),
    "lengths.npz": ({"x": np.zeros((3, 2)), "y": np.zeros(5)}, "3 samples and 5 labels"),
    "inputs.npz": ({"left": np.zeros((3, 2)), "x": np.zeros((4, 2))}, "different lengths"),
    "empty.npz": ({}, "has the arrays none"),
    "cut.npy": (b"\x93NUMPY", "cannot be read as a NumPy file"),
    "cut.npz": (b"PK\x03\x04", "cannot be read as a NumPy file"),
    "blank.npy": (b"", "cannot be read as a NumPy file"),
    "text.png": (b"hello", "cannot be read as an image"),
    "cut.png": (b"\x89PNG\r\n\x1a\n\x00", "cannot be read as an image"),
    "cut.gif": (b"GIF89a\x05", "cannot be read as an image"),
    "none.png": (None, "there is no image"),
    "none.npz": (None, "there is no file"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_read(name, tmp_path):
    content, text = FILES[name]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        np.save(path, content)
    shapes = {"left": (2,), "x": (2,)} if name == "inputs.npz" else {"x": (4, 6, 1)}
    with pytest.raises(kconvert.InputError, match=text):
        read_samples(str(path), shapes)


def test_folders_that_are_not_read(tmp_path):
    save(tmp_path / "a" / "1.png", np.zeros((4, 6)))
    (tmp_path / "b").mkdir()
    with pytest.raises(kconvert.InputError, match=r"no image in .*b', which is a class"):
        read_samples(str(tmp_path), {"x": (4, 6, 1)})
    save(tmp_path / "2.png", np.zeros((4, 6)))
    with pytest.raises(kconvert.InputError, match="has images and folders"):
        read_samples(str(tmp_path), {"x": (4, 6, 1)})
    with pytest.raises(kconvert.InputError, match="images are for networks with one input"):
        read_samples(str(tmp_path / "a"), {"x": (5,)})
    Image.new("F", (6, 4)).save(tmp_path / "a" / "1.tif")
    with pytest.raises(kconvert.InputError, match="whose range is not known"):
        read_samples(str(tmp_path / "a"), {"x": (4, 6, 1)})


def test_a_data_set_that_cannot_be_downloaded(monkeypatch, capsys):
    def fails():
        print("Downloading data")
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fails)
    with pytest.raises(kconvert.InputError, match=r"no network.*mnist5k, which needs no download"):
        read_samples("cifar10", {"x": (32, 32, 3)})
    assert capsys.readouterr().out == ""
    with pytest.raises(kconvert.InputError, match="parts train and test"):
        data_sets.read_data_set("mnist5k", "all")


def test_more_images_than_memory_holds(tmp_path, monkeypatch):
    for k in range(4):
        save(tmp_path / f"{k}.png", np.zeros((4, 6)))
    monkeypatch.setattr("kconvert.memory.free_memory", lambda: 2 * 3 * 4 * 4 * 6)
    with pytest.raises(kconvert.InputError, match=r"--n=4 is too much.*--n <= 3 fits"):
        read_samples(str(tmp_path), {"x": (4, 6, 1)})
    assert read_samples(str(tmp_path), {"x": (4, 6, 1)}, n=3).n == 3
