"""One seed for everything random in a process."""

import random as python_random
from typing import Any

import numpy as np

from distkeras.errors import ArgumentError

__all__ = [
    "get_random_seed",
    "random_states",
    "seeding_count",
    "set_random_seed",
    "set_random_states",
]

_seed: int | None = None
_count = 0


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's legacy generator and the seeds that distkeras chooses itself.

    Afterwards a program draws the same numbers in every run: weights, dropout masks, the order of
        samples.

    Args:
        seed: an integer from 0 up to 2**32 - 1.

    Raises:
        ArgumentError: for anything else.

    Example:
        >>> import distkeras as keras
        >>> keras.utils.set_random_seed(7)
        >>> first = keras.random.normal((2,)).tolist()
        >>> keras.utils.set_random_seed(7)
        >>> keras.random.normal((2,)).tolist() == first
        True
    """
    global _seed, _count
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ArgumentError(
            "Expected `seed` argument to be an integer from 0 up to 2**32 - 1. "
            f"Received: seed={seed!r} (of type {type(seed)})"
        )
    _seed = int(seed)
    _count += 1
    python_random.seed(_seed)
    np.random.seed(_seed)


def get_random_seed() -> int | None:
    """The seed given to `set_random_seed`, or `None`."""
    return _seed


def seeding_count() -> int:
    """How often `set_random_seed` was called: when it changes, what was seeded is made anew."""
    return _count


def random_states() -> tuple[Any, Any]:
    """The states of Python's `random` and of NumPy's legacy generator, made of numbers, texts and
    arrays."""
    version, words, gauss = python_random.getstate()
    return (version, np.array(words, np.uint32), gauss), np.random.get_state(legacy=False)


def set_random_states(states: tuple[Any, Any]) -> None:
    """Put both generators back.

    Args:
        states: what `random_states` answered.

    Example:
        >>> states = random_states()
        >>> first = python_random.random()
        >>> set_random_states(states)
        >>> python_random.random() == first
        True
    """
    (version, words, gauss), legacy = states
    python_random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(legacy)
