"""What a run takes: arrays, and data in batches."""
