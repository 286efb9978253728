"""The ops: one frozen dataclass each, with its output shape and its meaning in NumPy."""

from .linear import Affine, AxisMap, Conv, ConvTranspose, Dense
from .merge import Concat, Sum
from .neuron import Lif, NeuronOp, OtherNeuron, Relu, Replay, Sigmoid, Softmax
from .opaque import Opaque
from .pool import AvgPool, MaxPool, Pool
from .shape import Gather, Input, Pad, Reshape
from .synapse import RAMP, Alpha, LinearFilter, Lowpass, OtherSynapse, ReadOut, Synapse, Window

__all__ = [
    "RAMP",
    "Affine",
    "Alpha",
    "AvgPool",
    "AxisMap",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Gather",
    "Input",
    "Lif",
    "LinearFilter",
    "Lowpass",
    "MaxPool",
    "NeuronOp",
    "Opaque",
    "OtherNeuron",
    "OtherSynapse",
    "Pad",
    "Pool",
    "ReadOut",
    "Relu",
    "Replay",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Sum",
    "Synapse",
    "Window",
]
