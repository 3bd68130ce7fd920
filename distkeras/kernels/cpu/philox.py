"""The words of the random number generator Philox4x32-10; see `engine/philox.py` for what they
mean."""

import ctypes

import numpy as np

from distkeras.kernels.cpu.kernel import Kernel

__all__ = ["words"]

_SOURCE = """\
#include <stdint.h>
#define LANES 16

/* Counters (block, row, attempt, 0) of `rows` rows of `blocks` blocks, row by row. */
__attribute__((visibility("default")))
void run(long rows, long blocks, uint32_t row, uint32_t block, uint32_t attempt,
         uint32_t seed, uint32_t draw, uint32_t *restrict out)
{
    uint32_t a[LANES], b[LANES], c[LANES], d[LANES];
    uint32_t next = block, end = block + (uint32_t)blocks;
    long left = rows * blocks;
    for (; left > 0; left -= LANES, out += 4 * LANES) {
        for (int i = 0; i < LANES; i++) {
            a[i] = next;
            b[i] = row;
            c[i] = attempt;
            d[i] = 0;
            if (++next == end) {
                next = block;
                row++;
            }
        }
        uint32_t k = seed, l = draw;
        for (int round = 0; round < 10; round++) {
            for (int i = 0; i < LANES; i++) {
                uint64_t p = (uint64_t)a[i] * 0xD2511F53u;
                uint64_t q = (uint64_t)c[i] * 0xCD9E8D57u;
                a[i] = (uint32_t)(q >> 32) ^ b[i] ^ k;
                b[i] = (uint32_t)q;
                c[i] = (uint32_t)(p >> 32) ^ d[i] ^ l;
                d[i] = (uint32_t)p;
            }
            k += 0x9E3779B9u;
            l += 0xBB67AE85u;
        }
        int count = left < LANES ? (int)left : LANES;
        for (int i = 0; i < count; i++) {
            out[4 * i] = a[i];
            out[4 * i + 1] = b[i];
            out[4 * i + 2] = c[i];
            out[4 * i + 3] = d[i];
        }
    }
}
"""
_KERNEL = Kernel(_SOURCE, (*[ctypes.c_ssize_t] * 2, *[ctypes.c_uint32] * 5, ctypes.c_void_p))
# Ten rounds of NumPy take as long as a pass over this many arrays.
_COST = 8


def words(
    key: tuple[int, int],
    rows: int,
    blocks: int,
    row: int,
    block: int,
    attempt: int,
    out: np.ndarray,
) -> bool:
    """Fill an array with the words of a range of counters; whether that was done.

    Args:
        key: the seed and the number of the draw.
        rows, blocks: how many samples, and how many blocks of each.
        row, block: the first ones.
        attempt: the attempt.
        out: a C-contiguous uint32 array of `4 * rows * blocks` elements.

    Example:
        >>> words((0, 0), 1, 1, 0, 0, 0, np.empty(4, np.uint32))  # too little for a compiler
        False
    """
    function = _KERNEL.after(_COST * out.size)
    if function is None:
        return False
    seed, draw = (k & 0xFFFFFFFF for k in key)
    function(rows, blocks, row, block, attempt, seed, draw, out.__array_interface__["data"][0])
    return True
