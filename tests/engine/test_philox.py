"""The generator against its published vectors, and the layout of a draw."""

import numpy as np
import pytest

from distkeras.engine import philox
from distkeras.errors import ArgumentError

F = 0xFFFFFFFF
# philox4x32-10 of Random123's kat_vectors: key, counter, result.
KNOWN = [
    ((0, 0), (0, 0, 0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((F, F), (F, F, F, F), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize("key, counter, expected", KNOWN)
def test_known_answers(key, counter, expected):
    words = philox.blocks(np, key, [np.full(3, c) for c in counter])
    assert words.dtype == np.uint32
    assert [" ".join(f"{w:08x}" for w in row) for row in words.tolist()] == [expected] * 3


def draw(rows, words, offset=0, attempt=0, key=(7, 9)):
    out = np.zeros((rows, words), np.uint32)
    for row, word, tile in philox.tiles(np, key, rows, words, offset, attempt):
        out[row, word] = tile
    return out


@pytest.mark.parametrize(
    "rows, words, offset, attempt",
    [
        (5, 11, 1000, 0),
        (1, 100_003, 0, 3),
        (3000, 37, 5, 1),
        (3, 60_001, 2**32 - 3, 0),
        (2, 4, 0, 2**31),
    ],
)
def test_tiles_hold_the_documented_words(rows, words, offset, attempt):
    per_row = -(-words // 4)
    block, sample = np.meshgrid(np.arange(per_row), np.arange(offset, offset + rows))
    counter = (block.ravel(), sample.ravel(), attempt, 0)
    expected = philox.blocks(np, (7, 9), counter).reshape(rows, 4 * per_row)[:, :words]
    np.testing.assert_array_equal(draw(rows, words, offset, attempt), expected)


@pytest.mark.parametrize("rows, words", [(0, 5), (5, 0), (0, 0)])
def test_nothing_to_draw(rows, words):
    assert draw(rows, words).size == 0


def test_interleaved_draws_do_not_disturb_each_other():
    first = philox.tiles(np, (1, 1), 4, 50_000)
    out = []
    for _, _, tile in first:
        draw(4, 50_000, key=(2, 2))
        out.append(tile.copy())
    np.testing.assert_array_equal(np.concatenate([t.ravel() for t in out]), draw_flat((1, 1)))


def draw_flat(key):
    return np.concatenate([t.copy().ravel() for _, _, t in philox.tiles(np, key, 4, 50_000)])


def test_indices_beyond_32_bits_are_refused():
    with pytest.raises(ArgumentError, match="32-bit"):
        list(philox.tiles(np, (0, 0), rows=2, words=1, offset=2**32 - 1))


def test_bits_are_fair_and_neighbours_independent():
    words = draw(64, 4096)
    bits = np.unpackbits(words.view(np.uint8)).astype(float)
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)
    u = words / 2**32 - 0.5
    for other in (u[:, 1:], u[:, 4:]):  # the next word, the next block
        here = u[:, : other.shape[1]]
        assert abs((here * other).mean() * 12) < 5 / np.sqrt(other.size)
    assert abs((u[1:] * u[:-1]).mean() * 12) < 5 / np.sqrt(u[1:].size)  # the next sample
    other_draw = draw(64, 4096, key=(7, 10)) / 2**32 - 0.5
    assert abs((u * other_draw).mean() * 12) < 5 / np.sqrt(u.size)
