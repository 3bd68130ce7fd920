"""A rank that waits in a collective still hears signals."""


def test_interrupt_of_a_waiting_rank_ends_the_job(run_program, needs_mpi, tmp_path):
    (tmp_path / "wait.py").write_text(
        "import os, signal, threading, time\n"
        "from distkeras import distribution\n"
        "distribution.barrier()\n"
        "if distribution.rank() == 1:\n"
        "    time.sleep(60)\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "distribution.barrier()\n"
    )
    end = run_program(["-m", "distkeras.launch", "wait.py"], n=2, timeout=30)
    assert not end.timed_out, end.describe()
    assert end.returncode == 130, end.describe()
    assert end.stderr.count("[rank 0] KeyboardInterrupt") == 1, end.describe()
