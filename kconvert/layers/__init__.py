"""Layers that users put into their own Keras models."""

from .rate_lif import RateLIF

__all__ = ["RateLIF"]
