"""Philox4x32-10, a counter-based random generator, on any array module.

Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as
1, 2, 3" (SC'11).

A block of four 32-bit words is a function of a key (two words) and a counter (four words); there is
no state. Which word holds what, the same on every device:

    key[0]      the generator's seed
    key[1]      the number of the draw: the generator's counter
    counter[0]  the block within the sample: element // 4 where an element takes one word
    counter[1]  the index of the sample in the *global* batch; 0 for a draw without batch axis
    counter[2]  the attempt, where a value takes several (rejection); 0 otherwise
    counter[3]  0

Element e of a sample takes word e % 4 of block e // 4 (32 bits), words 2 (e % 2) and 2 (e % 2) + 1
of block e // 2 (64 bits, the low half first), or half e % 2, the low one first, of word e // 2 (16
bits). A sample's last block may be used in part. So the rows of a batch do not depend on how the
batch is divided among processes.
"""

import threading
from collections.abc import Iterator

import numpy as np

from distkeras.errors import ArgumentError
from distkeras.kernels.cpu import philox as native

__all__ = ["blocks", "tiles"]

ROUNDS = 10
_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)  # of counter[0] and counter[2]
_WEYL = (0x9E3779B9, 0xBB67AE85)  # added to the key after each round
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
# Counters in a tile: three uint64 arrays of two words each then take 384 KB, which stays within a
# second-level cache while a call's overhead is small beside its work (65,536 words: 0.30 ms; with
# tiles of 1,024: 1.2 ms).
_TILE = 8192
_SCRATCH = threading.local()


def _keys(key: tuple[int, int]) -> np.ndarray:
    """The round keys, `(rounds, 2, 1)`: a row for each half of the counter."""
    rounds = np.arange(ROUNDS, dtype=np.uint64)[:, None]
    keys = (
        np.array([[k & 0xFFFFFFFF for k in key]], np.uint64) + rounds * np.array([_WEYL], np.uint64)
    ) & _LOW
    return keys[:, :, None]


def _run(xp, even, odd, product, keys, multipliers) -> None:
    """Rounds on words 0 and 2 (`even`) and 1 and 3 (`odd`), uint64 arrays `(2, n)` that hold 32-bit
    values, in place.

    On return the upper halves of `odd` are left over from the last product and mean nothing.
    """
    crossed = product[::-1]
    last = len(keys) - 1
    for i, key in enumerate(keys):
        xp.multiply(even, multipliers, out=product)
        xp.right_shift(crossed, _HALF, out=even)
        xp.bitwise_xor(even, odd, out=even)
        xp.bitwise_xor(even, key, out=even)
        if i < last:
            xp.bitwise_and(crossed, _LOW, out=odd)
        else:
            odd[...] = crossed


def blocks(xp, key: tuple[int, int], counter):
    """Philox of arbitrary counters.

    Args:
        xp: the array module.
        key: two ints, taken modulo 2**32.
        counter: four arrays of one shape `(n,)`, or ints in their place.

    Returns:
        A uint32 array `(n, 4)`.

    Example:
        >>> [hex(word) for word in blocks(np, (0, 0), (np.zeros(1), 0, 0, 0))[0].tolist()]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    n = max(getattr(c, "size", 1) for c in counter)
    even, odd, product = (xp.empty((2, n), dtype=np.uint64) for _ in range(3))
    even[0], even[1], odd[0], odd[1] = counter[0], counter[2], counter[1], counter[3]
    _run(xp, even, odd, product, xp.asarray(_keys(key)), xp.asarray(_MULTIPLIERS))
    words = xp.empty((n, 4), dtype=np.uint32)
    words[:, 0::2] = even.T
    words[:, 1::2] = odd.T
    return words


def tiles(
    xp, key: tuple[int, int], rows: int, words: int, offset: int = 0, attempt: int = 0
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """The words of a draw, in tiles that stay in cache.

    Args:
        xp: the array module.
        key: the seed and the number of the draw.
        rows: samples in this process's part of the batch.
        words: 32-bit words that each of them takes.
        offset: index in the global batch of the first row.
        attempt: the attempt, where a value takes several.

    Yields:
        `(row slice, word slice, uint32 array)`: the tile's place in the `(rows, words)` result and
        its values, which the caller may change, and which the next step overwrites.

    Raises:
        ArgumentError: where an index does not fit into 32 bits.

    Example:
        >>> [tile.shape for _, _, tile in tiles(np, (1, 0), rows=3, words=6)]
        [(3, 6)]
    """
    per_row = -(-words // 4)
    if offset < 0 or offset + rows > 2**32 or per_row > 2**32:
        raise ArgumentError(
            f"A draw of {rows} rows from row {offset} with {words} words each is beyond the "
            "generator's 32-bit indices; draw in parts."
        )
    size = _TILE if xp is np else max(rows * per_row, 1)
    columns = min(per_row, size)
    height = min(rows, max(size // max(columns, 1), 1))
    if not columns or not height:
        return
    keys, multipliers = xp.asarray(_keys(key)), xp.asarray(_MULTIPLIERS)
    # Taken away while in use, so that an interleaved draw of this thread gets memory of its own.
    memory = _SCRATCH.__dict__.pop("memory", None) if xp is np else None
    if memory is None:
        memory = (
            [xp.empty((2, size), dtype=np.uint64) for _ in range(3)],
            xp.empty((size, 4), dtype=np.uint32),
        )
    for row in range(0, rows, height):
        r = min(height, rows - row)
        sample = xp.arange(offset + row, offset + row + r, dtype=np.uint64)[:, None]
        for column in range(0, per_row, columns):
            c = min(columns, per_row - column)
            tile = memory[1][: r * c]
            if xp is not np or not native.words(key, r, c, offset + row, column, attempt, tile):
                block = xp.arange(column, column + c, dtype=np.uint64)[None]
                even, odd, product = (m[:, : r * c] for m in memory[0])
                places = even.reshape(2, r, c), odd.reshape(2, r, c)
                _start(xp, *places, block, sample, attempt, keys)
                _run(xp, even, odd, product, keys[_SEPARABLE:], multipliers)
                tile[:, 0::2] = even.T
                tile[:, 1::2] = odd.T
            stop = min(4 * (column + c), words)
            yield (
                slice(row, row + r),
                slice(4 * column, stop),
                tile.reshape(r, 4 * c)[:, : stop - 4 * column],
            )
    if xp is np:
        _SCRATCH.memory = memory


def _start(xp, even, odd, block, sample, attempt, keys) -> None:
    """The first three rounds, where words depend on the block alone or on the sample alone: a
    quarter of the work saved.

    `even` and `odd` are `(2, samples, blocks)`; `block` is `(1, blocks)`, `sample` is `(samples,
    1)`.
    """
    a, b = _MULTIPLIERS[:, 0]
    # Round 1, of the counter (block, sample, attempt, 0).
    p, q = block * a, int(b) * attempt
    w0, w1 = sample ^ _word(keys, 0, 0) ^ np.uint64(q >> 32), np.uint64(q & 0xFFFFFFFF)
    w2, w3 = (p >> _HALF) ^ _word(keys, 0, 1), p & _LOW
    # Round 2: w0 depends on the sample, w2 and w3 on the block.
    p, q = w0 * a, w2 * b
    w0, w1 = (q >> _HALF) ^ w1 ^ _word(keys, 1, 0), q & _LOW
    xp.bitwise_xor(p >> _HALF, w3 ^ _word(keys, 1, 1), out=even[1])
    w3 = p & _LOW
    # Round 3: w0 and w1 depend on the block, w2 on both, w3 on the sample.
    p = w0 * a
    xp.multiply(even[1], b, out=odd[0])
    xp.bitwise_xor(odd[0] >> _HALF, w1 ^ _word(keys, 2, 0), out=even[0])
    xp.bitwise_and(odd[0], _LOW, out=odd[0])
    xp.bitwise_xor(p >> _HALF, w3 ^ _word(keys, 2, 1), out=even[1])
    odd[1] = p & _LOW


_SEPARABLE = 3


def _word(keys, i, half):
    return keys[i, half, 0]
