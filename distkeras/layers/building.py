"""What `build` of a layer's class is: recorded when it runs, or left to the first call."""

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["default_build", "is_default_build", "recording_build", "unwrapped"]


def default_build(build: Callable) -> Callable:
    """Mark a `build` that leaves the building of what is within to the first call."""
    marked: Any = build
    marked._is_default = True
    return marked


def is_default_build(build: Callable) -> bool:
    """Whether a `build` is marked by `default_build`."""
    return getattr(build, "_is_default", False)


def unwrapped(build: Callable) -> Callable:
    """A `build` as its class wrote it."""
    return getattr(build, "__wrapped__", build)


def recording_build(build: Callable) -> Callable:
    """`build` of a subclass, noting its arguments for files and marking the layer built."""

    @functools.wraps(build)
    def wrapper(self, *args, **kwargs):
        outermost = "_building" not in self.__dict__
        if outermost:
            object.__setattr__(self, "_building", True)
            object.__setattr__(self, "_build_shapes", (args, kwargs))
        try:
            result = build(self, *args, **kwargs)
        finally:
            if outermost:
                object.__delattr__(self, "_building")
        if outermost:
            self.built = True
            object.__setattr__(self, "_locked", True)
        return result

    return wrapper
