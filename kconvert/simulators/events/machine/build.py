"""Compiles the machine in parts, or loads what was compiled before.

A part is the kernel of an instruction or the loop over steps. Each is compiled by itself, for one
set of types in a precision, and only where a program needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numba
import numpy as np
from numba import njit, types
from numba.core.ccallback import CFunc

from ..compiler.instructions import Instruction, record
from ..notice import Progress
from .kernels import KERNELS
from .layout import Listing, machine_type
from .machine import run
from .store import Kept, Store

OPTIONS = {"error_model": "numpy", "_nrt": False}
"""Divisions by zero are no exceptions, and no kernel allocates memory: to count references to
arrays, which the caller holds, is a third of the code to compile."""
LOOP = "run"
"""The part that is no kernel."""


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """What runs programs in a precision.

    Args:
        run: The loop over steps: see :func:`kconvert.simulators.events.machine.machine.run`.
        kernels: Instruction to the address of its kernel.
    """

    run: Callable[..., int]
    kernels: dict[type[Instruction], int]


store = Store()
_lock = RLock()
_built: dict[tuple[str, str], Any] = {}


def machine(
    kinds: Iterable[type[Instruction]], dtype: Any, progress: bool | None = None
) -> Machine:
    """Load the machine, and compile what is not on the disk.

    Args:
        kinds: The instructions that it is to run.
        dtype: float32 or float64.
        progress: See :class:`kconvert.simulators.events.notice.Progress`.
    """
    of_name = {kind.__name__: kind for kind in kinds}
    dtype = np.dtype(dtype)
    with _lock:
        missing: dict[str, Kept] = {}
        for name in (LOOP, *of_name):
            if (name, dtype.name) not in _built:
                full = f"{name}-{dtype.name}"
                kept = Kept(store, full, store.read(full))
                if kept.payload is None:
                    missing[name] = kept
                else:
                    _built[name, dtype.name] = _part(of_name.get(name), dtype, kept)
        said = Progress(progress)
        for number, (name, kept) in enumerate(missing.items(), 1):
            said.begin(number, len(missing))
            _built[name, dtype.name] = _part(of_name.get(name), dtype, kept)
        if missing:
            said.end()
        return Machine(
            _built[LOOP, dtype.name],
            {kind: _built[name, dtype.name].address for name, kind in of_name.items()},
        )


def _part(kind: type[Instruction] | None, dtype: Any, kept: Kept) -> Any:
    """Compile the kernel of an instruction, or of None the loop."""
    real, long = dtype.type, types.int64
    of_machine = machine_type(real)
    if kind is not None:
        line = numba.from_dtype(record(kind, real))
        signature = (line, types.CPointer(of_machine), long, long, long), types.void
        kernel: Any = CFunc(KERNELS[kind], signature, locals={}, options=OPTIONS)
        kernel._cache = kept
        kernel.compile()
        return kernel
    integers = np.zeros(0, dtype=np.int64)
    numbers, listing = numba.typeof(integers), numba.typeof(Listing(integers, integers))
    loop = njit(nogil=True, **OPTIONS)(run)
    loop._cache = kept
    loop.compile(
        (listing, listing, numbers, of_machine, long, long, types.float64, numbers, numbers)
    )
    loop.disable_compile()
    return loop
