"""Convolutional layers over one to three spatial axes.

Four families: plain, transposed, depthwise and separable. A family is one class that works for any
number of spatial axes, its `rank`; the public layers fix it.
"""
