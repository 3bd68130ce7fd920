"""Makes the harness in `support/` (see its README) known to pytest, and keeps BLAS to one
thread."""

import pytest
from threadpoolctl import threadpool_limits

from support.plugin import comm, needs_mpi, pytest_configure, run_program, shared_tmp_path

__all__ = [
    "comm",
    "needs_mpi",
    "one_blas_thread",
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
