"""What tests of native code need: a compiler, and a cache of their own."""

import pytest

from distkeras.kernels.cpu import compiler


@pytest.fixture
def needs_compiler():
    """For tests of compiled code; without a compiler NumPy computes, which other tests see to."""
    if compiler.compiler() is None:
        pytest.skip("there is no C compiler here")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of this test's own, and kernels that wait for the compiler."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DISTKERAS_CACHE", str(folder))
    monkeypatch.setenv("DISTKERAS_NATIVE", "now")
    compiler._folder.cache_clear()
    yield folder
    compiler._folder.cache_clear()
