"""The native generator gives the words of the one in NumPy."""

import ctypes

import numpy as np
import pytest

from distkeras.engine import philox
from distkeras.kernels.cpu import philox as native
from distkeras.kernels.cpu.kernel import Kernel

DRAWS = {
    "less than a block": ((1, 0), 3, 1, 0, 0),
    "parts of blocks": ((1, 0), 3, 6, 0, 0),
    "a batch": ((7, 9), 128, 512, 5, 0),
    "one long row": ((2**33 + 5, 1), 1, 100_001, 0, 2),
    "the last sample": ((2**32 - 1, 2**32 - 1), 7, 33, 2**32 - 7, 1),
    "many rows": ((3, 3), 20_000, 1, 1, 0),
}


def draw(key, rows, words, offset, attempt):
    out = np.zeros((rows, words), np.uint32)
    for row, word, tile in philox.tiles(np, key, rows, words, offset, attempt):
        out[row, word] = tile
    return out


@pytest.mark.parametrize("settings", DRAWS.values(), ids=DRAWS)
def test_words(settings, cache, needs_compiler, monkeypatch):
    with monkeypatch.context() as numpy_alone:
        numpy_alone.setattr(native, "words", lambda *_: False)
        expected = draw(*settings)
    types = (*[ctypes.c_ssize_t] * 2, *[ctypes.c_uint32] * 5, ctypes.c_void_p)
    kernel = Kernel(native._SOURCE, types)  # it waits, by the cache's fixture
    monkeypatch.setattr(native, "_KERNEL", kernel)
    np.testing.assert_array_equal(draw(*settings), expected)
    assert kernel._function is not None
