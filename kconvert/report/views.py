"""Which picture fits an input or an output, and the numbers that it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..ir import Shape, product
from .maps import MapPlan, plan_maps
from .packing import packed

BARS = 24
"""Values that are drawn as bars; more are drawn as a line."""
POINTS = 256
"""Points of a line."""
CELLS = 96 * 96
"""Cells of a picture of an input or output."""
CELLS_IN_TIME = 48 * 48
"""The same where the picture changes from step to step."""
COLOURS = (3, 4)
"""Channels that make a colour image."""


class View(Protocol):
    """How an input or an output is drawn."""

    def head(self) -> dict[str, Any]:
        """What the page must know once, for all examples."""
        ...

    def numbers(self, values: np.ndarray) -> str:
        """The numbers of one example, from values of shape ``(frames, *shape)``."""
        ...


@dataclass(frozen=True, slots=True)
class Scale:
    """The values that the darkest and the lightest cell stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, *arrays: np.ndarray) -> Scale:
        """From the smallest to the largest value of some arrays."""
        return cls(min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays))

    def as_bytes(self, values: np.ndarray) -> np.ndarray:
        """Values as bytes from 0 to 255."""
        span = self.high - self.low or 1.0
        return np.rint((values - self.low) / span * 255).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Bars, or a line through some of the values.

    Args:
        shape: Shape of one sample.
        scale: Smallest and largest value.
    """

    shape: Shape
    scale: Scale

    @property
    def points(self) -> np.ndarray:
        """Numbers of the values that are drawn."""
        n = product(self.shape)
        return np.linspace(0, n - 1, min(n, POINTS)).round().astype(int)

    def head(self) -> dict[str, Any]:
        n, points = product(self.shape), self.points
        return {
            "kind": "bars" if n <= BARS else "line",
            "points": points.tolist(),
            "low": self.scale.low,
            "high": self.scale.high,
            "note": "" if len(points) == n else f"{len(points)} of {n:,} values, evenly spaced",
        }

    def numbers(self, values: np.ndarray) -> str:
        return packed(values.reshape(len(values), -1)[:, self.points].astype(np.float32))


@dataclass(frozen=True, slots=True)
class Pictures:
    """Maps in grey, or one image in colour.

    Args:
        plan: How the maps are laid out.
        scale: What is black and white.
        colour: Whether the maps are the channels of a colour image.
        channels_first: Whether the first axis is the channels, and not the last one.
    """

    plan: MapPlan
    scale: Scale
    colour: bool = False
    channels_first: bool = False

    def head(self) -> dict[str, Any]:
        return {
            "kind": "image" if self.colour else "maps",
            "low": self.scale.low,
            "high": self.scale.high,
            **map_head(self.plan),
        }

    def numbers(self, values: np.ndarray) -> str:
        if self.channels_first:
            values = np.moveaxis(values, 1, -1)
        drawn = self.plan.drawn(values.astype(np.float64), mean=True)
        return packed(frames_last(self.scale.as_bytes(drawn)))


@dataclass(frozen=True, slots=True)
class Mask:
    """The class of each place, such as each pixel.

    Args:
        shape: Shape of one sample, classes last; or without an axis of classes.
        n_classes: Number of classes.
    """

    shape: Shape
    n_classes: int

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of places."""
        return (self.shape[0], self.shape[1]) if len(self.shape) == 3 else (1, self.shape[0])

    @property
    def stride(self) -> int:
        """Every how many-th row and column is drawn: classes have no mean."""
        stride = 1
        while product([-(-size // stride) for size in self.places]) > CELLS_IN_TIME:
            stride += 1
        return stride

    def head(self) -> dict[str, Any]:
        rows, columns = (-(-size // self.stride) for size in self.places)
        note = f"every {self.stride}th row and column" if self.stride > 1 else ""
        return {
            "kind": "mask",
            "maps": 1,
            "rows": rows,
            "columns": columns,
            "used": rows * columns,
            "n_classes": self.n_classes,
            "note": note,
        }

    def numbers(self, values: np.ndarray) -> str:
        """From scores of the classes; from class numbers where these have one axis less."""
        if values.ndim > len(self.shape):
            values = values.argmax(axis=-1)
        maps = values.reshape(len(values), 1, *self.places)[..., :: self.stride, :: self.stride]
        return packed(frames_last(maps.astype(np.uint8)))


def input_view(shape: Shape, frames: int, scale: Scale) -> View:
    """The picture of an input.

    Args:
        shape: Shape of one sample at one step.
        frames: Frames of a sample; 1 if it is held.
        scale: Smallest and largest value.
    """
    if len(shape) <= 1:
        return Numbers(shape, scale)
    few = (1, *COLOURS)
    first = len(shape) == 3 and shape[0] in few and shape[-1] not in few
    if first:
        shape = (*shape[1:], shape[0])
    colour = len(shape) == 3 and shape[-1] in COLOURS
    most = CELLS if frames == 1 else CELLS_IN_TIME
    plan = plan_maps(shape, most * (shape[-1] if colour else 1))
    return Pictures(plan, scale, colour, first)


def output_view(shape: Shape, scale: Scale, *, classes: bool) -> View:
    """The picture of an output.

    Args:
        shape: Shape of one sample.
        scale: Smallest and largest value.
        classes: Whether the last axis stands for classes.
    """
    if len(shape) <= 1:
        return Numbers(shape, scale)
    if classes and 2 <= len(shape) <= 3 and 1 < shape[-1] <= 256:
        return Mask(shape, shape[-1])
    return Pictures(plan_maps(shape, CELLS_IN_TIME), scale)


def map_head(plan: MapPlan) -> dict[str, Any]:
    """What the page must know to draw maps."""
    return {
        "maps": len(plan.kept),
        "rows": plan.rows,
        "columns": plan.columns,
        "used": plan.used,
        "note": plan.note,
    }


def frames_last(maps: np.ndarray) -> np.ndarray:
    """The same cell at successive steps is alike, and deflates well side by side."""
    return np.moveaxis(maps, 0, -1)
