"""Every line of every rank arrives whole, whoever wrote it."""

import re
from collections import Counter

PROGRAM = """
import ctypes, logging, os, subprocess, sys, warnings
from distkeras import distribution

rank, lines = distribution.rank(), int(sys.argv[1])
library = ctypes.CDLL(None)
distribution.barrier()
for _ in range(lines):
    print(f"python{rank}" * 100)
    print(f"error{rank}" * 100, file=sys.stderr)
for _ in range(lines):
    library.puts((f"library{rank}" * 700).encode())
library.fflush(None)
code = f"for _ in range({lines}): print('child{rank}' * 2000)"
subprocess.run([sys.executable, "-c", code], check=True)
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.error(f"logged{rank}")
warnings.warn(f"warned{rank}")
"""
KINDS = ("python", "library", "child")


def counted(text: str, kind: str) -> Counter:
    """How often each rank's line of a kind is there whole; what is left over fails the test."""
    found = Counter()
    for line in text.splitlines():
        body = re.fullmatch(rf"(\[\d\] )?(({kind}\d)\3*)", line)
        if body:
            found[(body[1] or "").strip(), body[3], len(body[2])] += 1
    return found


def test_lines_of_all_ranks_are_not_mixed(run_program, needs_mpi, tmp_path):
    (tmp_path / "say.py").write_text(PROGRAM)
    end = run_program(["-m", "distkeras.launch", "--output", "all", "say.py", "30"], n=3)
    assert end.returncode == 0, end.stderr[-2000:]
    for kind, times in zip(KINDS, (100, 700, 2000), strict=True):
        words = [f"{kind}{rank}" for rank in range(3)]
        whole = {(f"[{r}]", word, len(word) * times): 30 for r, word in enumerate(words)}
        assert counted(end.stdout, kind) == whole, kind
    logged = [line for line in end.stdout.splitlines() if "logged" in line]
    assert sorted(logged) == [f"[{r}] logged{r}" for r in range(3)]
    assert len(end.stdout.splitlines()) == 3 * (3 * 30 + 1)
    assert counted(end.stderr, "error") == {(f"[{r}]", f"error{r}", 600): 30 for r in range(3)}
    for r in range(3):
        assert end.stderr.count(f"[{r}] ") >= 31
        assert f"UserWarning: warned{r}" in end.stderr


def test_what_other_ranks_say_goes_to_their_logs_whoever_says_it(run_program, needs_mpi, tmp_path):
    (tmp_path / "say.py").write_text(PROGRAM)
    line = ["-m", "distkeras.launch", "--run-dir", "run", "say.py", "3"]
    end = run_program(line, n=2)
    assert end.returncode == 0, end.stderr[-2000:]
    for rank, text in ((0, end.stdout), (1, (tmp_path / "run" / "rank1.log").read_text())):
        assert len(text.splitlines()) == 10
        for kind, times in zip(KINDS, (100, 700, 2000), strict=True):
            word = f"{kind}{rank}"
            assert counted(text, kind) == {("", word, len(word) * times): 3}
        assert text.endswith(f"logged{rank}\n")
    assert counted(end.stderr, "error") == {("", f"error{r}", 600): 3 for r in range(2)}
    assert end.stderr.count("UserWarning: warned") == 2
