"""Calls of kernels through their addresses, so that what calls them need not contain them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

INT64, BYTES = ir.IntType(64), ir.IntType(8).as_pointer()


@intrinsic
def pointer_to(typingctx: Any, value: Any) -> Any:
    """A pointer to a copy of a value, which lives as long as the caller does."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        model = context.data_model_manager[signature.args[0]]
        return cgutils.alloca_once_value(builder, model.as_data(builder, arguments[0]))

    return types.CPointer(value)(value), codegen


@intrinsic
def call(
    typingctx: Any, kernel: Any, line: Any, machine: Any, sample: Any, step: Any, slot: Any
) -> Any:
    """Run a kernel.

    Args:
        typingctx: Numba's.
        kernel: Address of the kernel.
        line: Address of the record of an instruction.
        machine: Pointer to a ``Machine``.
        sample: Which sample.
        step: Which step.
        slot: Which copy of the lists of events holds the step.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kernel, line, machine, *numbers = arguments
        function = ir.FunctionType(BYTES, [BYTES, BYTES, *[INT64] * 3])
        given = builder.inttoptr(line, BYTES), builder.bitcast(machine, BYTES)
        builder.call(builder.inttoptr(kernel, function.as_pointer()), [*given, *numbers])
        return context.get_dummy_value()

    long = types.int64
    return types.void(long, long, machine, long, long, long), codegen
