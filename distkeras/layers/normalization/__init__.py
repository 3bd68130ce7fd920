"""Layers that bring activations to mean 0 and variance 1, over the batch or within samples."""
