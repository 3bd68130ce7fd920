"""What a device is, and which one an array belongs to."""

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distkeras.config import environment
from distkeras.errors import DeviceError

__all__ = ["Device", "current_device", "device_of", "get_device", "register_device", "use_device"]


class Device:
    """A place where arrays live and the array module that computes on them.

    Attributes:
        name: `"cpu"`, `"cuda:0"`, ...
        xp: the array module (`numpy`, `cupy`), through which every primitive computes.
        array_type: the class of this device's arrays; an array's device is found by its exact
            class.
    """

    name: str
    xp: Any
    array_type: type

    def from_host(self, array, dtype=None):
        """A new array on this device that holds a copy of a NumPy array."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to take host arrays")

    def to_host(self, array):
        """A new NumPy array that holds a copy of this device's array."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to give host arrays")

    def empty(self, size: int, dtype):
        """An uninitialised flat array, aligned to 64 bytes, of `size` elements."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to allocate")

    def owns(self, array) -> bool:
        """Whether `array` lives here (a class of arrays may serve several devices)."""
        return type(array) is self.array_type

    def synchronize(self) -> None:
        """Wait until all work given to the device is done."""

    def __repr__(self) -> str:
        return f"<Device {self.name}>"


def _cpu() -> Device:
    from distkeras.devices.cpu import CPU

    return CPU()


def _cuda() -> Device:
    from distkeras.devices.cuda import CUDA

    return CUDA()


def _null() -> Device:
    from distkeras.devices.null import Null

    return Null()


_FACTORIES: dict[str, Callable[[], Device]] = {"cpu": _cpu, "cuda": _cuda, "null": _null}
_DEVICES: dict[str, Device] = {}
_BY_ARRAY_TYPE: dict[type, Device] = {}
_CURRENT: contextvars.ContextVar[Device | None] = contextvars.ContextVar("device", default=None)
_DEFAULT: Device | None = None


def register_device(name: str, factory: Callable[[], Device]) -> None:
    """Make a device known by name; it is created on first use.

    Args:
        name: a new name.
        factory: returns the `Device`.

    Raises:
        DeviceError: where the name is taken.
    """
    if name in _FACTORIES:
        raise DeviceError(f"A device named {name!r} is registered already; choose another name.")
    _FACTORIES[name] = factory


def get_device(name: str) -> Device:
    """The device of a name.

    Args:
        name: `"cpu"`, `"cuda"`, `"null"` or a registered name.

    Returns:
        The one `Device` of that name.

    Raises:
        DeviceError: for an unknown name, or one that this machine does not have.

    Example:
        >>> get_device("cpu").name
        'cpu'
    """
    if name not in _DEVICES:
        if name not in _FACTORIES:
            raise DeviceError(
                f"Unknown device {name!r}. Known devices: {', '.join(sorted(_FACTORIES))}."
            )
        device = _FACTORIES[name]()
        _DEVICES[name] = device
        _BY_ARRAY_TYPE[device.array_type] = device
    return _DEVICES[name]


def _choose_default() -> Device:
    wanted = environment("DISTKERAS_DEVICE")
    if wanted != "auto":
        return get_device(wanted)
    from distkeras.devices.cuda import cuda_is_available

    return get_device("cuda" if cuda_is_available() else "cpu")


def current_device() -> Device:
    """The device on which new tensors are made: that of `use_device`, else the default of the
    process.

    The default is CUDA where CuPy is installed and finds a GPU, else the CPU; `DISTKERAS_DEVICE`
    overrides it.
    """
    device = _CURRENT.get()
    if device is not None:
        return device
    global _DEFAULT
    if _DEFAULT is None:
        _DEFAULT = _choose_default()
    return _DEFAULT


@contextmanager
def use_device(device_name: str) -> Iterator[Device]:
    """Make new tensors on another device within a `with` block, in this thread or context only.

    Example:
        >>> with use_device("cpu") as device:
        ...     device.name
        'cpu'
    """
    device = get_device(device_name)
    token = _CURRENT.set(device)
    try:
        yield device
    finally:
        _CURRENT.reset(token)


def device_of(array) -> Device:
    """The device that an array lives on, by its class.

    Raises:
        DeviceError: for an array of a class that no device uses.
    """
    device = _BY_ARRAY_TYPE.get(type(array))
    if device is None:
        raise DeviceError(
            f"No device holds arrays of class {type(array).__module__}.{type(array).__qualname__}; "
            "convert the value with `ops.convert_to_tensor` first."
        )
    return device
