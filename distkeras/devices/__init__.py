"""Where arrays live: the CPU on NumPy, CUDA on CuPy, and a device without arithmetic for tests of
plans."""

from distkeras.devices.base import (
    Device,
    current_device,
    device_of,
    get_device,
    register_device,
    use_device,
)

__all__ = ["Device", "current_device", "device_of", "get_device", "register_device", "use_device"]
