"""Makes the harness in `support/` (see its README) known to pytest, keeps BLAS to one thread, and
compiled kernels out of the user's cache."""

import os
import tempfile

import pytest
from threadpoolctl import threadpool_limits

from support.plugin import comm, needs_mpi, pytest_configure, run_program, shared_tmp_path

__all__ = [
    "comm",
    "needs_mpi",
    "one_blas_thread",
    "own_cache",
    "pytest_configure",
    "run_program",
    "shared_tmp_path",
]


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """BLAS threads that wait for a busy core cost tests seconds, and their products are small."""
    import numpy as np  # noqa: F401 - limits apply to libraries that are loaded

    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache():
    """Processes that tests start inherit it; ranks of a test have that of the pytest above them."""
    if "DISTKERAS_CACHE" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="distkeras-cache-") as folder:
        os.environ["DISTKERAS_CACHE"] = folder
        yield
        del os.environ["DISTKERAS_CACHE"]
