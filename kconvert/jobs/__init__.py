"""Long work, cut into shares: a fixed piece of the samples, or one candidate of ``tune``.

The result of a share is plain data. It can be kept in a checkpoint, and computed by any process.
"""
