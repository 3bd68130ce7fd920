"""A number that changes with a variable's value: cheap enough to take of all, each epoch."""

from distkeras.engine.variable import Variable

__all__ = ["fingerprint"]


def fingerprint(variable: Variable) -> int:
    """The sum of a variable's memory, read as 64-bit numbers, modulo 2^64.

    One pass at the speed of memory, on the variable's own device. Any one change of the value
    changes it; changes that cancel each other, such as two values that trade places, do not.

    Args:
        variable: any `Variable`.

    Returns:
        An int from 0 to 2^64 - 1, equal for equal bits.

    Example:
        >>> fingerprint(Variable([1, 2], dtype="int64"))
        3
    """
    flat = variable.handle.array.reshape(-1).view("u1")
    whole = flat.size // 8 * 8
    total = int(flat[:whole].view("u8").sum()) if whole else 0
    for place, byte in enumerate(flat[whole:].tolist()):
        total += byte << 8 * place
    return total % 2**64
