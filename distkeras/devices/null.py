"""A device that knows shapes and dtypes but computes nothing: plans are tested on it."""

import math

import numpy as np

from distkeras.devices.base import Device

__all__ = ["Null", "NullArray"]


class NullArray:
    """An array without elements: a shape and a dtype."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape, dtype):
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    def astype(self, dtype, copy=True):
        return NullArray(self.shape, dtype)

    def copy(self):
        return NullArray(self.shape, self.dtype)

    def reshape(self, shape):
        return NullArray(np.broadcast_to(False, self.shape).reshape(shape).shape, self.dtype)

    def __getitem__(self, key):
        return NullArray(np.broadcast_to(False, self.shape)[key].shape, self.dtype)

    def __setitem__(self, key, value):
        """Nothing is stored."""


class Null(Device):
    """The device of `NullArray`s: primitives run their shape rules instead of computing."""

    name = "null"
    xp = None
    array_type = NullArray

    def from_host(self, array, dtype=None):
        array = np.asarray(array)
        return NullArray(array.shape, dtype or array.dtype)

    def to_host(self, array):
        return np.zeros(array.shape, array.dtype)

    def empty(self, size, dtype):
        return NullArray((size,), dtype)
