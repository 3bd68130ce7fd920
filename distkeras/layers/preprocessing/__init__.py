"""Layers that prepare data as part of a model."""
