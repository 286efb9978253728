"""Draws the images of benchmarks/glyphs.py: one glyph in colour, 32 x 32 pixels, in a small scene.

Each image has a random generator of its own, from its part and its number. So the first images of
a part are the same however many are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from glyph_fonts import CLASSES, SEED, Face, digest, faces, opened, outline
from PIL import Image, ImageDraw, ImageFilter

PIXELS = 32
CANVAS = 64
"""Scenes are drawn at twice the size."""
FOLDERS = ("/usr/share/fonts", "/usr/share/texmf/fonts", "/usr/share/games")


def find_fonts(folders: tuple[str, ...] = FOLDERS) -> dict[Face, Path]:
    """The file of each listed face, wherever it is under these folders.

    Raises:
        SystemExit: A file is missing or is of another version; the message says how to get it.
    """
    wanted = {face.file for face in faces()}
    by_content = {
        (path.name, digest(path)): path
        for folder in folders
        for path in sorted(Path(folder).rglob("*"))
        if path.name in wanted and path.is_file()
    }
    missing = [face for face in faces() if (face.file, face.sha256) not in by_content]
    if missing:
        packages = " ".join(sorted({face.package for face in missing}))
        raise SystemExit(
            f"{len(missing)} of {len(faces())} fonts are missing under {', '.join(folders)}, or "
            f"are of another version than Debian 12's, such as {missing[0].file} of "
            f"{missing[0].package}. Install them with\n  apt-get install {packages}\nor unpack "
            "the packages (apt-get download, dpkg -x) and name their folder: --fonts FOLDER"
        )
    return {face: by_content[face.file, face.sha256] for face in faces()}


def draw(
    fonts: Mapping[Face, Path], part: str, n: int, start: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """``n`` images of a part: (n, 32, 32, 3) as 8-bit RGB, and their classes (n,).

    A family is drawn at random, then one of its faces. Classes come in turn. Colours have 32
    levels a channel, which halves the committed file.
    """
    families: dict[str, list[Path]] = {}
    for face in faces(part):
        families.setdefault(face.family, []).append(fonts[face])
    paths = list(families.values())
    images = np.empty((n, PIXELS, PIXELS, 3), np.uint8)
    classes = np.arange(start, start + n) % len(CLASSES)
    for number, sign in enumerate(classes):
        rng = np.random.default_rng([SEED, *part.encode(), start + number])
        family = paths[rng.integers(len(paths))]
        images[number] = _scene(family[rng.integers(len(family))], CLASSES[sign], rng)
    return images, classes


def _scene(path: Path, sign: str, rng: np.random.Generator) -> np.ndarray:
    font = opened(path)
    ground = rng.uniform(0, 255, 3)
    ends = [ground, np.clip(ground + rng.normal(0, 40, 3), 0, 255)]
    ink = rng.uniform(0, 255, 3)
    while min(np.linalg.norm(ink - end) for end in ends) < 130:
        ink = rng.uniform(0, 255, 3)
    scene = _gradient(*ends, rng)
    if rng.random() < 0.6:
        scene += _texture(rng) * rng.uniform(5, 25)

    glyph = outline(font, sign)
    where = _corners(glyph.size, rng)
    layers = [(glyph, where)]
    if rng.random() < 0.4:  # a neighbour, as in a word: its edge comes into the picture
        other = outline(font, CLASSES[rng.integers(len(CLASSES))])
        side = rng.choice([-1, 1]) * rng.uniform(0.85, 1.05) * CANVAS
        layers.append((other, _corners(other.size, rng) + np.array([side, rng.normal(0, 4)])))
    coverage = np.max([_warped(each, corners) for each, corners in layers], axis=0)
    if rng.random() < 0.2:  # a shadow
        shift = rng.integers(-5, 6, 2)
        shadow = np.roll(coverage, shift, axis=(0, 1)) * rng.uniform(0.3, 0.8)
        scene = _over(scene, rng.uniform(0, 255, 3) * 0.5, shadow)
    scene = _over(scene, _gradient(ink, np.clip(ink + rng.normal(0, 25, 3), 0, 255), rng), coverage)
    if rng.random() < 0.2:
        scene = _over(scene, rng.uniform(0, 255, 3), _stroke(rng))

    image = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.8)))
    small = np.asarray(image.resize((PIXELS, PIXELS), Image.Resampling.BOX), float)
    small += rng.normal(0, rng.uniform(0, 8), small.shape)
    return np.clip(small, 0, 255).astype(np.uint8) // 8 * 8


def _over(scene: np.ndarray, colour: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    return scene + (colour - scene) * coverage[..., None]


def _gradient(start: np.ndarray, end: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : CANVAS * 1j, -1 : 1 : CANVAS * 1j]
    along = np.clip(0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1)
    return start + (end - start) * along[..., None]


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of a random grain, in grey."""
    grid = rng.normal(0, 1, (rng.integers(3, 16),) * 2).astype(np.float32)
    size = (CANVAS, CANVAS)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))[..., None]


def _stroke(rng: np.random.Generator) -> np.ndarray:
    """A straight line through the picture, which covers part of the glyph."""
    angle, length = rng.uniform(0, np.pi), 2 * CANVAS
    x, y = rng.uniform(0.2, 0.8, 2) * CANVAS
    dx, dy = length * np.cos(angle), length * np.sin(angle)
    image = Image.new("L", (CANVAS, CANVAS))
    ends = (x - dx, y - dy, x + dx, y + dy)
    ImageDraw.Draw(image).line(ends, fill=255, width=int(rng.integers(2, 8)))
    return np.asarray(image) / 255.0


def _corners(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where a glyph's four corners lie in the picture: turned, sheared, seen from the side."""
    box = np.array(size) / max(size) * rng.uniform(0.5, 0.85) * CANVAS
    box = box * np.exp(rng.normal(0, 0.1, 2))
    quad = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * box / 2
    angle, shear = np.deg2rad(rng.normal(0, 9)), rng.normal(0, 0.12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    quad = quad @ np.array([[1, 0], [shear, 1]]) @ turn.T
    quad = quad + rng.uniform(-0.06, 0.06, quad.shape) * CANVAS
    return quad + CANVAS / 2 + rng.uniform(-0.08, 0.08, 2) * CANVAS


def _warped(glyph: Image.Image, corners: np.ndarray) -> np.ndarray:
    """A glyph moved to its corners by a perspective; coverage of each pixel from 0 to 1."""
    width, height = glyph.size
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    rows, right = [], []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    solved = np.linalg.solve(rows, right)
    size, kind = (CANVAS, CANVAS), Image.Transform.PERSPECTIVE
    out = glyph.transform(size, kind, tuple(solved), Image.Resampling.BICUBIC)
    return np.asarray(out) / 255.0
