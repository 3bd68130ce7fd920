"""The memory that the ranks of a node share."""

import gc
import os
import random
import resource
import sys
import textwrap
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.distribution import windows
from distkeras.distribution.flags import LINE, Flags
from distkeras.distribution.windows import free_memory, heap_of
from distkeras.errors import ConfigurationError
from distkeras.strategies import DataParallel

needs_memfd = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has anonymous files to share"
)
pytestmark = needs_memfd


@pytest.fixture
def heap():
    return heap_of(distribution.initialize())


@pytest.mark.mpi(sizes=(2, 3))
def test_all_ranks_see_one_memory(heap, comm):
    block = heap.take(10_000)
    assert block.dtype == np.uint8
    assert block.size >= 10_000
    block[comm.rank] = comm.rank + 1
    heap.fence()
    comm.Barrier()
    heap.fence()
    assert block[: comm.size].tolist() == list(range(1, comm.size + 1))


@pytest.mark.mpi(sizes=(3,))
def test_a_block_is_taken_while_any_rank_has_a_view_of_it(heap, comm):
    kept = heap.take(4096)[100:200].view(np.int32) if comm.rank == 1 else heap.take(4096)
    before = heap.taken
    if comm.rank == 1:
        kept[...] = 7
    else:
        del kept
    others = [heap.take(4096) for _ in range(5)]
    assert heap.taken == before + 5
    for block in others:
        block[...] = 0
    comm.Barrier()
    if comm.rank == 1:
        assert kept.tolist() == [7] * 25
        del kept
    del others, block
    heap.take(1)
    assert heap.taken <= before


@pytest.mark.mpi(sizes=(3,))
def test_dropped_in_different_orders_it_does_not_grow(heap, comm):
    order = random.Random(comm.rank)
    blocks, largest = [], 0
    for i in range(300):
        blocks.append(heap.take(random.Random(i).randrange(1, 400_000)))
        while len(blocks) > 8:
            del blocks[order.randrange(len(blocks))]
        largest = max(largest, heap.size)
    # 17 blocks at most are alive on some rank, most of them on few.
    assert largest < 40 << 20


@pytest.mark.mpi(sizes=(2,), timeout=300)
def test_three_thousand_models(heap, comm, monkeypatch):
    monkeypatch.setenv("DISTKERAS_SHARED_FROM", "0")
    order, alive = random.Random(comm.rank), []
    for _ in range(3000):
        strategy = DataParallel(distribution.initialize())
        v = keras.Variable(np.ones(2000, "float32"))
        with strategy.step(comm.rank, 1, 2):
            with keras.GradientTape() as tape:
                loss = keras.ops.sum(v)
            (g,) = tape.gradient(loss, [v])
        assert g.shape == (2000,)
        strategy.itself = strategy  # a cycle, as models are
        alive.append((strategy, v, g))
        if len(alive) > 5:
            alive.pop(order.randrange(len(alive)))
    assert heap.size < 200 << 20
    alive.clear()
    gc.collect()
    heap.take(1)
    assert heap.taken < 20


@pytest.mark.mpi(sizes=(2,))
def test_no_name_is_ever_given(heap):
    with open("/proc/self/maps") as file:
        maps = [line for line in file if "distkeras" in line]
    assert any("memfd:distkeras" in line for line in maps)
    assert not any("/dev/shm" in line for line in maps)


@pytest.mark.mpi(sizes=(3,))
def test_flags_make_everybody_wait_for_the_last(heap, comm):
    memory = heap.take(LINE * comm.size)
    flags = Flags(memory[: LINE * comm.size], comm.rank, heap.fence)
    memory[LINE * comm.rank : LINE * (comm.rank + 1)] = 0
    shared = heap.take(8 * comm.size)[: 8 * comm.size].view(np.int64)
    comm.Barrier()
    for i in range(200):
        shared[comm.rank] = i * 10 + comm.rank
        flags.wait(flags.post())
        assert shared.tolist() == [i * 10 + r for r in range(comm.size)]
        flags.wait(flags.post())  # before it is written again
    assert flags.phase == 400
    comm.Barrier()
    if comm.rank:
        flags.post()
    comm.Barrier()
    assert flags.behind(401) == ([0] if comm.rank else [])


def test_free_memory_is_limited(monkeypatch):
    assert 0 < free_memory() < sys.maxsize
    monkeypatch.setenv("DISTKERAS_SHARED_MEMORY", "5000")
    assert free_memory() == 5000
    assert free_memory(6000) == 0
    monkeypatch.setenv("DISTKERAS_SHARED_MEMORY", "some")
    with pytest.raises(ConfigurationError, match="DISTKERAS_SHARED_MEMORY must be an integer"):
        free_memory()


@contextmanager
def limited(name, soft):
    """A limit of the system for this process."""
    before = resource.getrlimit(name)
    resource.setrlimit(name, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(name, before)


def _address_space():
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096


def _next_descriptor():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize(
    ("who", "limit", "soft"),
    [
        (0, resource.RLIMIT_FSIZE, lambda: 1 << 16),  # pages cannot be reserved
        (1, resource.RLIMIT_NOFILE, _next_descriptor),  # the segment cannot be opened
        (2, resource.RLIMIT_AS, lambda: _address_space() + (50 << 20)),  # nor mapped
    ],
)
def test_where_one_rank_cannot_share_none_does(heap, comm, who, limit, soft):
    size = heap.size
    with limited(limit, soft()) if comm.rank == who else nullcontext():
        assert heap.take(size + (150 << 20)) is None
    assert heap.size <= size  # segments that nobody uses were given back
    assert heap.take(10) is not None


def test_training_goes_on_where_nothing_can_be_shared(run_program, needs_mpi, tmp_path):
    program = textwrap.dedent(
        """
        import zlib
        import numpy as np
        import distkeras as keras

        keras.utils.set_random_seed(3)
        x = np.random.default_rng(0).random((64, 64), dtype="float32")
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(500)])
        model.compile("adam", "mse")
        model.fit(x, np.ones((64, 500), "float32"), batch_size=16, verbose=0)
        print(zlib.crc32(b"".join(v.numpy().tobytes() for v in model.optimizer.variables)))
        """
    )
    (tmp_path / "program.py").write_text(program)
    done = []
    for memory in ("auto", "1000"):
        env = {"DISTKERAS_SHARED_MEMORY": memory}
        done.append(
            run_program(["-m", "distkeras.launch", "program.py"], n=3, env=env, timeout=120)
        )
        assert done[-1].returncode == 0, done[-1].stderr
    free, limited = done
    assert "too little memory" not in free.stderr
    assert limited.stderr.count("too little memory that ranks can share") == 1, limited.stderr
    assert "(rank 0: " in limited.stderr
    assert free.stdout == limited.stdout


@pytest.mark.mpi(sizes=(2,))
def test_more_than_there_is_is_refused_on_all_ranks(heap):
    size = heap.size
    assert heap.take(1 << 60) is None
    assert heap.size <= size  # segments that nobody uses were given back
    assert windows.heap_of(distribution.initialize()) is heap
    assert heap.take(10) is not None
