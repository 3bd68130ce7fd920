"""Kernels for the CPU: C text, compiled by the system's compiler when it pays."""
