"""The pieces that are written in LLVM's own terms, because Numba's loops do not become them.

:func:`add_rows` keeps a piece of a current in registers while row after row of weights is added to
it, so that each row costs a load and no store; :func:`unequal` and :func:`above` compare 64
numbers at once and give back one bit for each. LLVM lowers these vectors to whatever the processor
has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from ..compiler.program import BLOCK, LANES, WORD

INT64, INT32 = ir.IntType(64), ir.IntType(32)


def _real(array: Any) -> tuple[Any, int]:
    """The LLVM type of an array's numbers, and their size in bytes."""
    return (ir.FloatType(), 4) if array.dtype == types.float32 else (ir.DoubleType(), 8)


def _int(value: int) -> ir.Constant:
    return ir.Constant(INT64, value)


def _splat(builder: Any, vector: Any, number: Any) -> Any:
    """The number in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(INT32, 0))
    zeros = ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, undefined, zeros)


def _vector_at(builder: Any, vector: Any, pointer: Any, lane: int = 0) -> Any:
    moved = builder.gep(pointer, [_int(lane)])
    return builder.bitcast(moved, ir.PointerType(vector))


def _decayed(builder: Any, vector: Any, place: Any, decay: Any, size: int) -> Any:
    """``decay`` times what stands at a place; zero for zero, also of what is not finite."""
    nothing = ir.Constant(decay.type, 0.0)
    there = builder.fmul(builder.load(place, align=size), _splat(builder, vector, decay))
    forgotten = builder.fcmp_ordered("==", decay, nothing)
    return builder.select(forgotten, _splat(builder, vector, nothing), there)


def _add_rows(vectors: int, unrolled: int) -> Callable[..., None]:  # noqa: C901
    """Make the function that adds rows of ``16 * vectors`` weights.

    Args:
        vectors: How many vectors of sixteen a row has.
        unrolled: How many rows are added side by side: the processor needs about four additions
            that do not wait for one another.
    """

    @intrinsic
    def add_rows(  # noqa: C901
        typingctx: Any,
        current: Any,
        at: Any,
        decay: Any,
        weights: Any,
        weights_at: Any,
        index: Any,
        value: Any,
        first: Any,
        last: Any,
    ) -> Any:
        long = types.int64
        signature = types.void(
            current, long, current.dtype, weights, long, index, value, long, long
        )

        def codegen(  # noqa: C901
            context: Any, builder: Any, signature: Any, arguments: Any
        ) -> Any:
            real, size = _real(signature.args[0])
            vector = ir.VectorType(real, LANES)

            def data(number: int) -> Any:
                array = make_array(signature.args[number])
                return array(context, builder, arguments[number]).data

            target = builder.gep(data(0), [arguments[1]])
            table = builder.gep(data(3), [arguments[4]])
            indices, values, last = data(5), data(6), arguments[8]
            kept = arguments[2], size

            def add_event(event: Any, sums: list[Any]) -> list[Any]:
                row = builder.zext(builder.load(builder.gep(indices, [event])), INT64)
                row = builder.gep(table, [builder.mul(row, _int(LANES * vectors))])
                number = _splat(builder, vector, builder.load(builder.gep(values, [event])))
                added = []
                for lane, total in enumerate(sums):
                    place = _vector_at(builder, vector, row, LANES * lane)
                    weight = builder.load(place, align=size)
                    product = builder.fmul(number, weight, flags=("contract",))
                    added.append(builder.fadd(total, product, flags=("contract",)))
                return added

            def loop(start: Any, sets: list[list[Any]]) -> tuple[Any, list[list[Any]]]:
                """Events as long as there is one for each set of sums."""
                before = builder.block
                head, body, after = (
                    builder.append_basic_block(name) for name in ("head", "body", "after")
                )
                builder.branch(head)
                builder.position_at_end(head)
                event = builder.phi(INT64)
                event.add_incoming(start, before)
                phis = [[builder.phi(vector) for _ in sums] for sums in sets]
                for into, sums in zip(phis, sets, strict=True):
                    for phi, number in zip(into, sums, strict=True):
                        phi.add_incoming(number, before)
                following = builder.add(event, _int(len(sets)))
                builder.cbranch(builder.icmp_signed("<=", following, last), body, after)
                builder.position_at_end(body)
                for offset, into in enumerate(phis):
                    for phi, number in zip(
                        into, add_event(builder.add(event, _int(offset)), into), strict=True
                    ):
                        phi.add_incoming(number, body)
                event.add_incoming(following, body)
                builder.branch(head)
                builder.position_at_end(after)
                return event, phis

            sums = [
                _decayed(builder, vector, _vector_at(builder, vector, target, LANES * lane), *kept)
                for lane in range(vectors)
            ]
            event = arguments[7]
            if unrolled > 1:
                nothing = [ir.Constant(vector, [0.0] * LANES)] * vectors
                event, sets = loop(event, [sums, *[nothing] * (unrolled - 1)])
                sums = sets[0]
                for others in sets[1:]:
                    sums = [builder.fadd(*pair) for pair in zip(sums, others, strict=True)]
            _, [sums] = loop(event, [sums])
            for lane, total in enumerate(sums):
                builder.store(total, _vector_at(builder, vector, target, LANES * lane), align=size)
            return context.get_dummy_value()

        return signature, codegen

    return add_rows


add_rows_1, add_rows_2, add_rows_3, add_rows_4 = (
    _add_rows(vectors, unrolled) for vectors, unrolled in ((1, 4), (2, 2), (3, 2), (4, 1))
)
"""``add_rows_n(current, at, decay, weights, weights_at, index, value, first, last)``:
``current[at:] = decay * current[at:] + sum of value[e] * row index[e] of weights[weights_at:]``
over events e, for rows of n times sixteen weights."""


TILE = 4
"""Output cells that a dense product handles side by side: their sums fill half of the registers."""


@intrinsic
def add_dense(
    typingctx: Any,
    current: Any,
    at: Any,
    step: Any,
    decay: Any,
    weights: Any,
    weights_at: Any,
    source: Any,
    source_at: Any,
    source_step: Any,
    count: Any,
) -> Any:
    """A dense product for four neighbouring cells and 64 columns: each weight is read once for all.

    For cell p: ``current[at + p * step:] = decay * current[at + p * step:] + sum of
    source[source_at + p * source_step + j] * row j of weights[weights_at:]`` over j < count.
    """
    long = types.int64
    signature = types.void(
        current, long, long, current.dtype, weights, long, source, long, long, long
    )
    vectors = BLOCK // LANES

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        real, size = _real(signature.args[0])
        vector = ir.VectorType(real, LANES)

        def data(number: int) -> Any:
            array = make_array(signature.args[number])
            return array(context, builder, arguments[number]).data

        target = builder.gep(data(0), [arguments[1]])
        table = builder.gep(data(4), [arguments[5]])
        numbers = builder.gep(data(6), [arguments[7]])
        kept = arguments[3], size
        targets = [
            builder.gep(target, [builder.mul(arguments[2], _int(cell))]) for cell in range(TILE)
        ]
        sums = [
            _decayed(builder, vector, _vector_at(builder, vector, place, LANES * lane), *kept)
            for place in targets
            for lane in range(vectors)
        ]
        before = builder.block
        head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        j = builder.phi(INT64)
        j.add_incoming(_int(0), before)
        phis = [builder.phi(vector) for _ in sums]
        for phi, number in zip(phis, sums, strict=True):
            phi.add_incoming(number, before)
        builder.cbranch(builder.icmp_signed("<", j, arguments[9]), body, after)
        builder.position_at_end(body)
        row = builder.gep(table, [builder.mul(j, _int(BLOCK))])
        columns = [
            builder.load(_vector_at(builder, vector, row, LANES * lane), align=size)
            for lane in range(vectors)
        ]
        for cell in range(TILE):
            place = builder.add(j, builder.mul(arguments[8], _int(cell)))
            number = _splat(builder, vector, builder.load(builder.gep(numbers, [place])))
            for lane, column in enumerate(columns):
                phi = phis[cell * vectors + lane]
                product = builder.fmul(number, column, flags=("contract",))
                phi.add_incoming(builder.fadd(phi, product, flags=("contract",)), body)
        j.add_incoming(builder.add(j, _int(1)), body)
        builder.branch(head)
        builder.position_at_end(after)
        for number, total in enumerate(phis):
            place = _vector_at(
                builder, vector, targets[number // vectors], LANES * (number % vectors)
            )
            builder.store(total, place, align=size)
        return context.get_dummy_value()

    return signature, codegen


def _compare(predicate: str) -> Callable[..., int]:
    @intrinsic
    def compare(typingctx: Any, array: Any, at: Any, than: Any) -> Any:
        signature = types.uint64(array, types.int64, array.dtype)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            real, size = _real(signature.args[0])
            vector = ir.VectorType(real, WORD)
            data = make_array(signature.args[0])(context, builder, arguments[0]).data
            place = _vector_at(builder, vector, builder.gep(data, [arguments[1]]))
            numbers = builder.load(place, align=size)
            compare = builder.fcmp_unordered if predicate == "!=" else builder.fcmp_ordered
            bits = compare(predicate, numbers, _splat(builder, vector, arguments[2]))
            return builder.bitcast(bits, INT64)

        return signature, codegen

    return compare


unequal, above, at_least = _compare("!="), _compare(">"), _compare(">=")
"""``f(array, at, than)``: bit k says how ``array[at + k]`` compares with a number, for 64 k. What
is no number is unequal, so that it is passed on."""


@intrinsic
def lowest_bit(typingctx: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set, or 64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def count_bits(typingctx: Any, bits: Any) -> Any:
    """How many bits are set."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), codegen


@intrinsic
def peek(typingctx: Any, array: Any, at: Any) -> Any:
    """``array[at]`` for a place in the array: Numba's own looks for negative places first."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.gep(data, [arguments[1]]))

    return array.dtype(array, types.int64), codegen


@intrinsic
def poke(typingctx: Any, array: Any, at: Any, number: Any) -> Any:
    """``array[at] = number``, likewise."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store(arguments[2], builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), codegen


@njit
def places(bits, first, index, n):
    """Write the places of the bits that are set, counted from ``first``, behind ``index[:n]``.

    Eight are written whether there are so many or not: how many there are cannot be predicted, and
    a branch that is predicted wrongly costs more than all of them. Hence the list has room for
    more than it holds.

    Returns:
        How many there are in ``index`` now.
    """
    last = n + count_bits(bits)
    for k in range(8):
        poke(index, n + k, np.uint32(first + lowest_bit(bits)))
        bits &= bits - np.uint64(1)
    n += 8
    while n < last:
        poke(index, n, np.uint32(first + lowest_bit(bits)))
        bits &= bits - np.uint64(1)
        n += 1
    return last


@njit
def connections(bits, first, table, length):
    """What connections the neurons of a word lead to, of those whose bit is set.

    Args:
        bits: One for each of 64 neurons.
        first: The first of them.
        table: The connections of each neuron of a run.
        length: Neurons of a run: a power of two up to 64.
    """
    total = 0
    mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - length)
    run = first // length
    while bits:
        total += count_bits(bits & mask) * peek(table, run)
        if length == 64:
            break
        bits >>= np.uint64(length)
        run += 1
    return total


@njit
def run_of(place, inverse):
    """Which run of a table a place is in: exact for ``inverse`` = 1 / length in float64."""
    return int((place + 0.5) * inverse)
