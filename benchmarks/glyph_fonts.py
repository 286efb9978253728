"""The fonts of benchmarks/glyphs.py: which faces of Debian's packages, and who trains on which.

    python benchmarks/glyph_fonts.py FOLDER    # writes benchmarks/data/glyph_fonts.tsv again

FOLDER has one folder a package, as ``apt-get download`` and ``dpkg -x`` of the packages of
``glyph_fonts.txt`` leave them. A face is kept if it draws all classes, each differently, and if at
least 24 of its 36 glyphs look most like the same class of the median face: symbols and fonts that
people cannot read fall out. Faces of a package whose names start with the same word are a family.
Families with nearly the same outlines (correlation above 0.93: Nimbus Sans is TeX Gyre Heros) stay
in one part, so no test font has a twin in training.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFont

DATA = Path(__file__).parent / "data"
FACES = DATA / "glyph_fonts.tsv"
CLASSES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789&?"
"""36 signs that can be told apart in any font: 0 and 1 would be O and I in many."""
PARTS = {"test": 0.2, "validation": 0.1, "train": 0.7}
SEED = 19
FACES_A_FAMILY = 8
READABLE = 24
TWIN = 0.93
SIZE = 64
"""Height of the font in pixels where glyphs are drawn, before they are warped."""


class Face(NamedTuple):
    """One font file: the part it belongs to, its family, its Debian package, :func:`digest`."""

    part: str
    family: str
    package: str
    file: str
    sha256: str


def faces(part: str | None = None) -> list[Face]:
    """The committed list, or a part of it, in the order of the file."""
    found = [Face(*line.split("\t")) for line in FACES.read_text().splitlines()[1:]]
    return [face for face in found if part in (None, face.part)]


def digest(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def opened(path: Path) -> ImageFont.FreeTypeFont:
    """A font without shaping, which depends on what Pillow was built with."""
    return ImageFont.truetype(str(path), SIZE, layout_engine=ImageFont.Layout.BASIC)


def outline(font: ImageFont.FreeTypeFont, sign: str) -> Image.Image | None:
    """A glyph cut to its box, 0 to 255; None if it is empty."""
    mask = font.getmask(sign, mode="L")
    if 0 in mask.size:
        return None
    image = Image.frombytes("L", mask.size, bytes(mask))
    box = image.getbbox()
    return None if box is None else image.crop(box)


def _shapes(path: Path) -> np.ndarray | None:
    """All glyphs of a face, each of length 1 and mean 0; None if they are not all there."""
    glyphs = [outline(opened(path), sign) for sign in CLASSES]
    if any(glyph is None for glyph in glyphs):
        return None
    rows = []
    for glyph in glyphs:
        square = Image.new("L", (max(glyph.size),) * 2)
        square.paste(glyph, tuple((square.width - size) // 2 for size in glyph.size))
        rows.append(np.asarray(square.resize((24, 24), Image.Resampling.BOX), float).ravel())
    if len({row.tobytes() for row in rows}) < len(CLASSES):
        return None
    return _normalised(np.stack(rows))


def _normalised(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def _joined(families: list[str], shapes: np.ndarray) -> dict[str, str]:
    """For each family the first of those that are, directly or in a chain, its twins."""
    first = {family: family for family in families}
    for row, family in enumerate(families):
        alike = np.einsum("cd,fcd->f", shapes[row], shapes) / len(CLASSES) > TWIN
        group = {first[family], *(first[families[other]] for other in np.flatnonzero(alike))}
        first = {each: min(group) if root in group else root for each, root in first.items()}
    return first


def main(folder: Path) -> None:
    """Choose the faces and deal their families out to the parts."""
    packages = (DATA / "glyph_fonts.txt").read_text().split()
    found: list[tuple[str, str, Path]] = []
    drawn: list[np.ndarray] = []
    for package in packages:
        for path in sorted((folder / package).rglob("*")):
            if path.suffix.lower() not in (".ttf", ".otf") or path.is_symlink():
                continue
            try:
                shapes = _shapes(path)
            except OSError as error:  # FreeType cannot read it
                print(f"left out: {path.name}: {error}")
                continue
            if shapes is not None:
                word = opened(path).getname()[0].split()[0]
                found.append((package, f"{package.removeprefix('fonts-')}/{word}", path))
                drawn.append(shapes)
    shapes = np.stack(drawn)
    median = _normalised(np.median(shapes, axis=0))
    looks = np.einsum("fcd,kd->fck", shapes, median).argmax(axis=2)
    kept = np.flatnonzero((looks == np.arange(len(CLASSES))).sum(axis=1) >= READABLE)
    found, shapes = [found[row] for row in kept], shapes[kept]
    families = [family for _, family, _ in found]
    group = _joined(families, shapes)

    roots = np.random.default_rng(SEED).permutation(sorted(set(group.values())))
    ends = np.cumsum(list(PARTS.values())) * len(set(families))
    part, dealt = {}, 0
    for root in roots:
        part[root] = list(PARTS)[int(np.searchsorted(ends, dealt, side="right"))]
        dealt += sum(each == root for each in group.values())

    lines = []
    for family in sorted(set(families)):
        rows = [row for row, each in enumerate(families) if each == family]
        few = np.unique(np.linspace(0, len(rows) - 1, FACES_A_FAMILY).round().astype(int))
        for package, _, path in (found[rows[index]] for index in few):
            lines.append(Face(part[group[family]], family, package, path.name, digest(path)))
    lines.sort()
    FACES.write_text("\n".join("\t".join(line) for line in (Face._fields, *lines)) + "\n")
    for name in PARTS:
        mine = faces(name)
        print(f"{name}: {len(mine)} faces of {len({face.family for face in mine})} families")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
