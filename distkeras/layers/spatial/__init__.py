"""Layers that change the spatial size of sequences, images and volumes."""
