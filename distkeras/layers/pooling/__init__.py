"""Pooling layers: over windows, and over all positions at once."""
