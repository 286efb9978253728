"""The trained networks on glyphs of fonts: what is committed is what the documentation states."""

from __future__ import annotations

import re
from pathlib import Path

import glyph_fonts
import glyph_images
import glyphs
import numpy as np
import pytest

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks.md"


@pytest.mark.parametrize("name", glyphs.NETWORKS)
def test_the_error_is_that_of_the_documentation(name):
    model, x, y, x_calibration = glyphs.load(name)
    (stated,) = re.findall(rf"^\| `{name}` \| [\d,]+ \| ([\d.]+) \|$", PAGE.read_text(), re.M)
    # Stated to one digit; where rounding decides, an image may be another's.
    assert abs(glyphs.error(model, x, y) - float(stated)) < 0.05 + 1.5 * 100 / len(x)
    assert len(x_calibration) == glyphs.N_CALIBRATION
    test = {image.tobytes() for image in x}
    assert not any(image.tobytes() in test for image in x_calibration)


def test_test_images_have_all_classes_equally_often():
    with np.load(glyphs.IMAGES) as file:
        counts = np.bincount(file["y_test"])
    assert counts.tolist() == [glyphs.N_TEST // len(glyph_fonts.CLASSES)] * 36


def test_no_family_is_in_two_parts():
    parts: dict[str, set[str]] = {}
    for face in glyph_fonts.faces():
        parts.setdefault(face.family, set()).add(face.part)
    assert len(parts) > 180
    assert all(len(each) == 1 for each in parts.values())
    contents = [face.sha256 for face in glyph_fonts.faces("test")]
    assert not {face.sha256 for face in glyph_fonts.faces("train")} & set(contents)


def test_missing_fonts_are_named_with_the_line_that_installs_them(tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)apt-get install .*fonts-lato .*dpkg -x"):
        glyph_images.find_fonts((str(tmp_path),))


def test_images_are_drawn_again_as_they_were():
    try:
        fonts = glyph_images.find_fonts()
    except SystemExit:
        pytest.skip("the fonts are not installed")
    x, y = glyph_images.draw(fonts, "test", 10, start=50)
    with np.load(glyphs.IMAGES) as file:
        np.testing.assert_array_equal(y, file["y_test"][50:60])
        np.testing.assert_array_equal(x, file["x_test"][50:60])
