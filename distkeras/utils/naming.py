"""Names of layers and models: snake case, and one running number for each base name."""

import re
import threading
from collections import defaultdict

__all__ = ["auto_name", "get_uid", "reset_uids", "to_snake_case"]

_COUNTERS: defaultdict[str, int] = defaultdict(int)
_LOCK = threading.Lock()


def to_snake_case(name: str) -> str:
    """`name` in snake case, as Keras derives a layer's default name from its class.

    Example:
        >>> to_snake_case("Conv2D"), to_snake_case("GlobalMaxPooling1D")
        ('conv2d', 'global_max_pooling1d')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def get_uid(prefix: str = "") -> int:
    """The next running number, from 1, of a prefix.

    Example:
        >>> get_uid("naming_example"), get_uid("naming_example")
        (1, 2)
    """
    with _LOCK:
        _COUNTERS[prefix] += 1
        return _COUNTERS[prefix]


def auto_name(prefix: str) -> str:
    """A new name: the prefix itself the first time, then `prefix_1`, `prefix_2`, ...

    Example:
        >>> auto_name("auto_example"), auto_name("auto_example")
        ('auto_example', 'auto_example_1')
    """
    number = get_uid(prefix)
    return prefix if number == 1 else f"{prefix}_{number - 1}"


def reset_uids() -> None:
    """Start all running numbers again, as `keras.utils.clear_session` does."""
    with _LOCK:
        _COUNTERS.clear()
