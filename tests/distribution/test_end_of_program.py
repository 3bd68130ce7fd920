"""A rank that calls a collective after another has ended gets an error, and the job ends."""

import re
import textwrap

import pytest


def test_a_collective_on_one_rank_alone_ends_the_job(run_program, needs_mpi, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        from distkeras import distribution
        distribution.barrier()
        if distribution.rank() == 1:
            distribution.all_reduce([1.0])
        """)
    )
    job = run_program(["-m", "distkeras.launch", str(script)], n=3, timeout=60)
    assert job.returncode != 0
    assert not job.timed_out
    assert not job.orphans
    text = job.stdout + job.stderr
    assert "rank 1: all_reduce sum of float64 of shape (1,)" in text
    assert "ranks 0, 2: end of the program" in text
    assert text.count("Traceback") == 1


def test_ranks_that_counted_differently_end_together(run_program, needs_mpi, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        from distkeras import distribution
        from distkeras.distribution.world import alone
        if distribution.rank() == 0:
            with alone():
                distribution.barrier()
        """)
    )
    job = run_program(["-m", "distkeras.launch", str(script)], n=2, timeout=60)
    assert job.returncode == 0, job.stderr


@pytest.mark.parametrize("how", ["exit", "last line"])
def test_a_fit_without_a_rank_that_has_ended_is_an_error_soon(
    how, run_program, needs_mpi, tmp_path
):
    """`fit` on the others meets the end of the program in its first or in a later step."""
    (tmp_path / "train.py").write_text(
        textwrap.dedent("""
        import sys
        import numpy as np
        import distkeras as keras
        from distkeras import distribution

        class Leave(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                if batch == 5 and distribution.rank() == 1:
                    sys.exit(0)

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        if sys.argv[1] == "exit" or distribution.rank() != 1:
            model.fit(np.ones((80, 4)), np.ones((80, 1)), 8, verbose=0, callbacks=[Leave()])
        """)
    )
    # Were it found by a limit, it would take longer than the job may.
    words = ["-m", "distkeras.launch", "--step-timeout=0", "--user-timeout=0", "train.py", how]
    job = run_program(words, n=2, timeout=30)
    assert not job.timed_out, job.describe()
    assert (job.returncode, job.stderr.count("Traceback")) == (1, 1), job.describe()
    assert "CollectiveMismatchError" in job.stderr
    assert re.search(r"rank 0: \w+ .*, called at .*train.py:15", job.stderr), job.describe()
    end = r"by sys.exit \(.*train.py, line 10\)" if how == "exit" else "at its last line"
    assert re.search(rf"rank 1: end of the program, .*, train.py ended {end}", job.stderr), (
        job.describe()
    )
