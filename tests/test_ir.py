from __future__ import annotations

import numpy as np
import pytest

from kconvert.errors import GraphError
from kconvert.ir import Graph, Node
from kconvert.ops import AvgPool, Conv, Dense, Input, Lif, Relu, Reshape


def chain(*nodes: Node, outputs: tuple[str, ...] = ()) -> Graph:
    return Graph({node.name: node for node in nodes}, outputs or (nodes[-1].name,))


X = Node("x", Input((4,)), (), (4,))
Y = Node("y", Relu(), ("x",), (4,))


def test_refuses_unknown_inputs():
    with pytest.raises(GraphError, match=r"'y' reads \['x'\], which no earlier node computes"):
        chain(Y)


def test_refuses_later_inputs():
    with pytest.raises(GraphError, match="no earlier node"):
        chain(Y, X)


def test_refuses_shapes_that_the_op_does_not_confirm():
    with pytest.raises(GraphError, match=r"claims the shape \(3,\), its op Relu computes \(4,\)"):
        chain(X, Node("y", Relu(), ("x",), (3,)))


def test_refuses_a_missing_output():
    with pytest.raises(GraphError, match=r"outputs \['z'\]"):
        chain(X, Y, outputs=("z",))


def test_refuses_a_wrong_key():
    with pytest.raises(GraphError, match="filed under the name 'a'"):
        Graph({"a": X}, ("a",))


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (Dense(np.ones((3, 2))), (4,)),
        (Conv(np.ones((3, 3, 2, 4)), None, (1, 1), (1, 1), ((0, 0), (0, 0))), (5, 5, 3)),
        (Conv(np.ones((6, 3, 3, 4)), None, (1, 1), (1, 1), ((0, 0), (0, 0))), (5, 5, 3)),
        (AvgPool((2, 2), (2, 2), ((0, 0), (0, 0))), (4, 4)),
        (AvgPool((5, 2), (2, 2), ((0, 0), (0, 0))), (4, 4, 1)),
        (Reshape((5,)), (4,)),
    ],
)
def test_ops_refuse_shapes_they_cannot_read(op, shape):
    with pytest.raises(GraphError):
        op.out_shape(shape)


def test_rewrite_swaps_bypasses_and_keeps_the_old_graph():
    graph = chain(X, Y, Node("z", Relu(gain=2.0), ("y",), (4,)))
    new = graph.rewrite(bypass={"y": "x"})
    assert list(new.nodes) == ["x", "z"]
    assert new.nodes["z"].inputs == ("x",)
    assert list(graph.nodes) == ["x", "y", "z"]
    assert chain(X, Y).rewrite(bypass={"y": "x"}).outputs == ("x",)


def test_nodes_cannot_be_changed_in_place():
    graph = chain(X, Y)
    with pytest.raises(TypeError):
        graph.nodes["w"] = X  # type: ignore[index]


def test_is_private():
    two = chain(X, Y, Node("z", Relu(), ("y",), (4,)), Node("w", Relu(), ("y",), (4,)))
    assert not two.is_private("y")
    assert not chain(X, Y).is_private("y")  # an output
    assert chain(X, Y).is_private("x")


def test_prints_as_one_line_a_node():
    assert str(chain(X, Y)) == "x: Input() (4,)\ny: Relu(x) (4,) -> output"


def test_lif_rate_is_the_limit_of_small_smoothing(rng):
    x = rng.uniform(-1, 2, (1, 50))
    hard, soft = Lif(gain=2.0, bias=1.0), Lif(gain=2.0, bias=1.0, smoothing=1e-4)
    away = np.abs(2.0 * x) > 0.01  # a hundred widths from the threshold
    # Below it the soft rate falls off as 1 / (tau_rc * widths): 0.5 Hz at a hundred.
    difference = soft.evaluate(x)[away] - hard.evaluate(x)[away]
    assert np.abs(difference).max() < 1 / (0.02 * 100)
    assert hard.evaluate(x).max() > 100
