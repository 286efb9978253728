"""Layers that users put into their own Keras models."""

from .rate_lif import RateLIF
from .spiking_aware import SpikingAware

__all__ = ["RateLIF", "SpikingAware"]
