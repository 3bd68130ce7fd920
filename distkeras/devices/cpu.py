"""The CPU: NumPy arrays."""

import contextlib
import ctypes
import sys

import numpy as np

from distkeras.devices.base import Device

__all__ = ["CPU"]

_ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register


class CPU(Device):
    """The host's processor with NumPy as its array module."""

    name = "cpu"
    xp = np
    array_type = np.ndarray

    def __init__(self):
        _keep_freed_memory()

    def from_host(self, array, dtype=None):
        return np.array(array, dtype=dtype)

    def to_host(self, array):
        return np.array(array)

    def empty(self, size, dtype):
        dtype = np.dtype(dtype)
        raw = np.empty(size * dtype.itemsize + _ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        return raw[start : start + size * dtype.itemsize].view(dtype)


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next array instead of giving it back to the
    system.

    By default glibc returns the top of its heap as soon as it is free, and each new array of a step
    faults its pages in again: `x * m * 2` of 128 x 512 float32 took 0.22 ms, with this 0.022 ms.
    Elsewhere than glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: the most that glibc accepts
        mallopt(-1, 256 << 20)  # M_TRIM_THRESHOLD
