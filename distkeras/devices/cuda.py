"""CUDA: CuPy arrays on the GPU of this rank."""

import importlib.util

from distkeras.devices.base import Device
from distkeras.errors import DeviceError

__all__ = ["CUDA", "cuda_is_available"]


def cuda_is_available() -> bool:
    """Whether CuPy is installed and finds at least one GPU."""
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


class CUDA(Device):
    """One GPU with CuPy as its array module.

    A rank uses the GPU of its number among the ranks of its node, modulo the number of GPUs. CuPy
    refuses to convert its arrays to NumPy implicitly, so every transfer goes through `from_host`
    and `to_host`.
    """

    def __init__(self, index: int | None = None):
        try:
            import cupy
        except ImportError as error:
            raise DeviceError(
                "The device 'cuda' needs CuPy: pip install 'distkeras[cuda12]' or "
                "'distkeras[cuda13]'."
            ) from error
        count = cupy.cuda.runtime.getDeviceCount() if cuda_is_available() else 0
        if count == 0:
            raise DeviceError(
                "CuPy is installed but finds no GPU; set DISTKERAS_DEVICE=cpu or check the driver."
            )
        if index is None:
            index = _local_rank() % count
        cupy.cuda.Device(index).use()
        self.index = index
        self.name = f"cuda:{index}"
        self.xp = cupy
        self.array_type = cupy.ndarray

    def from_host(self, array, dtype=None):
        return self.xp.array(array, dtype=dtype)

    def to_host(self, array):
        return self.xp.asnumpy(array)

    def empty(self, size, dtype):
        return self.xp.empty(size, dtype)  # CuPy's pool aligns to 512 bytes

    def owns(self, array):
        return type(array) is self.array_type and array.device.id == self.index

    def synchronize(self):
        self.xp.cuda.get_current_stream().synchronize()


def _local_rank() -> int:
    import os

    # By environment only: choosing a GPU must not start MPI. The names are those of MPICH, Open MPI
    # and Slurm.
    for name in ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0
