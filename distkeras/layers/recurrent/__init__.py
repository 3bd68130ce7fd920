"""Recurrent layers: cells, what runs them over time, and wrappers."""
