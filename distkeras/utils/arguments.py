"""Checks of arguments that several layers and operations take."""

from typing import Any

from distkeras.errors import ArgumentError

__all__ = ["int_tuple", "padding_name"]


def int_tuple(value: Any, n: int, name: str, least: int = 1) -> tuple[int, ...]:
    """`value` as a tuple of `n` ints; one int stands for `n` equal ones.

    Args:
        value: an int or a sequence of `n` ints.
        n: how many.
        name: the argument's name, for the message.
        least: the smallest value allowed, default 1.

    Returns:
        The tuple.

    Raises:
        ArgumentError: for anything else.

    Example:
        >>> int_tuple(3, 2, "kernel_size"), int_tuple([1, 2], 2, "strides")
        ((3, 3), (1, 2))
    """
    values = (value,) * n if _is_int(value) else value
    try:
        values = tuple(values)
    except TypeError:
        values = ()
    if isinstance(value, str) or len(values) != n or not all(_is_int(v) for v in values):
        raise ArgumentError(
            f"The `{name}` argument must be a tuple of {n} integers. Received {name}={value!r}"
        )
    if min(values) < least:
        raise ArgumentError(
            f"The `{name}` argument must be a tuple of {n} integers >= {least}. "
            f"Received {name}={value!r}"
        )
    return tuple(int(v) for v in values)


def _is_int(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def padding_name(value: Any, causal: bool = False) -> str:
    """The name of a padding in lower case.

    Args:
        value: `"valid"`, `"same"` or, where `causal` is true, `"causal"`, in any case.

    Raises:
        ArgumentError: for anything else.

    Example:
        >>> padding_name("SAME")
        'same'
    """
    name = value.lower() if isinstance(value, str) else value
    allowed = ("valid", "same", "causal") if causal else ("valid", "same")
    if name not in allowed:
        raise ArgumentError(f"`padding` must be one of {allowed}. Received: padding={value!r}")
    return name
