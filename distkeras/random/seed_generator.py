"""Seeds: integers, the same at every call, and generators, which count their calls."""

import random as python_random
import threading
from numbers import Integral
from typing import Any

from distkeras.engine.context import state
from distkeras.engine.tensor import Tensor, from_host
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError
from distkeras.utils.naming import auto_name, to_snake_case
from distkeras.utils.seeding import seeding_count

__all__ = [
    "SeedGenerator",
    "draw_key",
    "draw_seed",
    "global_seed_generator",
    "global_seed_state",
    "make_default_seed",
]

_LOCK = threading.Lock()


class SeedGenerator:
    """A source of seeds that gives another one at every call; its state is a variable, which is
    saved and restored.

    Args:
        seed: the first seed, an integer (taken modulo 2**32); default one from Python's `random`.
        name: a name, default `seed_generator`, `seed_generator_1`, ...

    Raises:
        ArgumentError: where the seed is no integer.

    Example:
        >>> from distkeras import random
        >>> seeds = random.SeedGenerator(42)
        >>> a, b = random.normal((3,), seed=seeds), random.normal((3,), seed=seeds)
        >>> a.tolist() == b.tolist()
        False
        >>> a.tolist() == random.normal((3,), seed=random.SeedGenerator(42)).tolist()
        True
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        kwargs.pop("backend", None)  # Keras's way to choose among backends; there is one here
        if kwargs:
            raise ArgumentError(f"Unrecognized keyword arguments: {kwargs}")
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, Integral):
            raise ArgumentError(f"Argument `seed` must be an integer. Received: seed={seed}")
        self._key: tuple[int, int] = (int(seed) & 0xFFFFFFFF, 0)
        self.state: Variable = Variable(
            self._key,
            dtype="uint32",
            trainable=False,
            name="seed_generator_state",
        )
        self.state.path = f"{self.name}/seed_generator_state"
        # The state as Python numbers, valid as long as the variable's memory has this version.
        self._version: int = self.state.handle.version

    def next(self, ordered: bool = True) -> Tensor:
        """The state, a uint32 tensor `[seed, number of the draw]`, which then counts on.

        Args:
            ordered: accepted for Keras's sake; the order is always kept.
        """
        return from_host(self.next_key(), "uint32")

    def next_key(self) -> tuple[int, int]:
        """The seed and the number of the draw as Python numbers; the state then counts on.

        While shapes are being inferred nothing counts on.
        """
        with _LOCK:
            if self.state.handle.version != self._version:  # assigned or loaded since
                seed, counter = self.state.numpy().tolist()
                self._key = (int(seed), int(counter))
                self._version = self.state.handle.version
            key = self._key
            if state().abstract:
                return key
            self._key = (key[0], (key[1] + 1) & 0xFFFFFFFF)
            self.state.assign(self._key)
            self._version = self.state.handle.version
            return key

    def get_config(self) -> dict:
        """The seed as it was given, and the name."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> "SeedGenerator":
        """A generator made from `get_config()`'s result."""
        return cls(**config)

    def __repr__(self):
        return f"<SeedGenerator name={self.name} seed={self._initial_seed}>"


_GLOBAL: tuple[int, SeedGenerator] | None = None


def global_seed_generator() -> SeedGenerator:
    """The generator of all draws without a seed; `set_random_seed` starts it anew."""
    global _GLOBAL
    count = seeding_count()
    if _GLOBAL is None or _GLOBAL[0] != count:
        _GLOBAL = (count, SeedGenerator(name="global_seed_generator"))
    return _GLOBAL[1]


def global_seed_state() -> Any:
    """The state of the global generator, a NumPy array; `None` before the first draw from it.

    Asking does not make the generator, which would draw from Python's `random`.
    """
    if _GLOBAL is None or _GLOBAL[0] != seeding_count():
        return None
    return _GLOBAL[1].state.numpy()


def make_default_seed() -> int:
    """A seed where none is given, from Python's `random`."""
    return python_random.randint(1, int(1e9))


def draw_key(seed: Any) -> tuple[int, int]:
    """The seed and the number of the draw for one call of a random function.

    Args:
        seed: an integer, a `SeedGenerator`, or `None` for the global one.

    Raises:
        ArgumentError: for anything else.
    """
    if seed is None:
        return global_seed_generator().next_key()
    if isinstance(seed, SeedGenerator):
        return seed.next_key()
    if isinstance(seed, Integral):
        return int(seed) & 0xFFFFFFFF, 0
    raise ArgumentError(
        "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
        f"Received: seed={seed} (of type {type(seed)})"
    )


def draw_seed(seed: Any) -> Tensor:
    """As `draw_key`, as a uint32 tensor of two elements.

    Example:
        >>> draw_seed(7).tolist()
        [7, 0]
    """
    return from_host(draw_key(seed), "uint32")
