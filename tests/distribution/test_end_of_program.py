"""A rank that calls a collective after another has ended gets an error, and the job ends."""

import textwrap


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
