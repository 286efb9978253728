"""From a Graph to a ``nir.NIRGraph``, the format that simulators and chips exchange."""
