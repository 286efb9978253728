"""The ops: one frozen dataclass each, with its output shape and its meaning in NumPy."""

from .linear import ChannelAffine, Conv, Dense
from .neuron import Lif, NeuronOp, Relu, Softmax
from .pool import AvgPool
from .shape import Input, Reshape

__all__ = [
    "AvgPool",
    "ChannelAffine",
    "Conv",
    "Dense",
    "Input",
    "Lif",
    "NeuronOp",
    "Relu",
    "Reshape",
    "Softmax",
]
