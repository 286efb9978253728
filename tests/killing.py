"""Runs a stored network with a checkpoint, and is killed at each stage of each write.

``test_checkpoint`` starts it in a process of its own: it forks, and has no Keras in it. Prints a
line for each kill.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import kconvert
from kconvert.files import replacing
from kconvert.jobs import shares
from kconvert.jobs.plain import packed

STAGES = ("before", "within", "written", "replaced")
N, STEPS, SHARE = 20, 6, 4
WRITES = 3 + N // SHARE
"""What it is a checkpoint of, the checksums of the samples and the metrics, and the shares."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A file in which writing ends half way."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> Dying:
        return self

    def __exit__(self, *_: Any) -> None:
        raise AssertionError("still alive")

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()


def die_at(write: int, stage: str) -> None:
    """Let this process be killed at a stage of one of its writes, counted from 0."""
    opened, replaced = itertools.count(), itertools.count()
    replace = os.replace

    def opening(path: Path, mode: str) -> Any:
        here = next(opened) == write
        if here and stage == "before":
            die()
        file = open(path, mode)  # noqa: SIM115
        return Dying(file) if here and stage == "within" else file

    def replacing_it(old: Path, new: Path) -> None:
        here = next(replaced) == write
        if here and stage == "written":
            die()
        replace(old, new)
        if here and stage == "replaced":
            die()

    replacing.open = opening  # type: ignore[attr-defined]
    os.replace = replacing_it


def kills(run: Any, folder: Path) -> Iterator[str]:
    """What came of each kill."""
    for write, stage in itertools.product(range(WRITES), STAGES):
        shutil.rmtree(folder, ignore_errors=True)
        child = os.fork()
        if not child:
            die_at(write, stage)
            run(folder)
            os._exit(0)  # not reached
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        saved = {path.name: path.read_bytes() for path in folder.glob("[!.]*.share")}
        result = run(folder)
        stays = all((folder / name).read_bytes() == data for name, data in saved.items())
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        yield f"{write} {stage} {killed} {len(saved)} {stays} {not left} {result}"


def main(path: str, folder: str) -> None:
    shares.MOST = SHARE
    network = kconvert.load(path)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((N, 4)), rng.integers(0, 3, N)

    def run(checkpoint: Path | None) -> str:
        found = network.evaluate(x, y, STEPS, metrics=["mse"], checkpoint=checkpoint)
        fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
        return str(hash(packed(fields)))

    expected = run(None)
    for line in kills(run, Path(folder)):
        print(line.removesuffix(expected) + str(line.endswith(expected)))


if __name__ == "__main__":
    main(*sys.argv[1:])
