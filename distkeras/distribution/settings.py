"""How training is spread over ranks, as far as a program may choose: Keras's names for it."""

from typing import Any

from distkeras.errors import ArgumentError

__all__ = ["DataParallel", "distribution", "set_distribution"]


class DataParallel:
    """Each rank computes some rows of every global batch: what `fit` does on several ranks anyway.

    Args:
        device_mesh, devices: must be `None`: the ranks that the launcher started are the devices.
        auto_shard_dataset: whether every rank is given the same data, of which it takes its rows;
            default `True`. With `False` each rank is given its own part: the global batch is what
            the ranks give, one after another.

    Raises:
        ArgumentError: where devices are given.

    Example:
        >>> DataParallel(auto_shard_dataset=False).auto_shard_dataset
        False
    """

    def __init__(
        self, device_mesh: Any = None, devices: Any = None, auto_shard_dataset: bool = True
    ):
        if device_mesh is not None or devices is not None:
            raise ArgumentError(
                "`device_mesh` and `devices` must be None: the devices of distkeras are the ranks "
                "that `mpirun -n N python -m distkeras.launch` starts."
            )
        self.auto_shard_dataset = bool(auto_shard_dataset)


_chosen: DataParallel | None = None


def distribution() -> DataParallel | None:
    """What `set_distribution` was given last, `None` before.

    Example:
        >>> distribution() is None
        True
    """
    return _chosen


def set_distribution(value: DataParallel | None) -> None:
    """Choose how the calls of `fit`, `evaluate` and `predict` from now on are spread over ranks.

    All ranks must choose alike.

    Args:
        value: a `DataParallel`, or `None` for the default.

    Raises:
        ArgumentError: where it is something else.

    Example:
        >>> set_distribution(None)
    """
    global _chosen
    if value is not None and not isinstance(value, DataParallel):
        raise ArgumentError(
            f"Expected a distkeras.distribution.DataParallel or None, got {type(value).__name__}: "
            "there is no other way to spread a training over ranks."
        )
    _chosen = value
