"""Layers that most models are made of: inputs, matrix products, lookups, shapes, functions."""
