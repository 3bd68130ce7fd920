"""What is lost between N ranks and N independent processes, and where.

    python benchmarks/scaling.py [--ranks 2] [--rounds 7] [--peer PYTHON]

`fit` of the 784-512-512-10 network with 128 samples a rank and step. In each round one process
trains alone, then N independent processes at once, then N ranks; with `--peer`, the Python of an
environment with PyTorch, also N independent PyTorch processes and DistributedDataParallel over
gloo. All compute with one thread each. Efficiency is the speed of the ranks over the summed speed
of the independent processes of the same round. Where those slow each other below 95 % of the
process alone, the machine and not the library is measured: the round is discarded and counted. The
processor time that a sample takes is compared too: it says less, but also on a busy machine.

Then the phases of a step, and the reduction and update of a 784-4096-4096-10 network (80 MB of
gradients) against the time that the machine needs to move the bytes that have to be touched.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import machine

GOAL, BOUND = 0.90, 1.5
LEAST = 0.95  # of the speed alone, that independent processes must keep
WORKERS = Path(__file__).with_name("scaling_workers.py")


def mpiexec() -> list[str]:
    beside = Path(sys.executable).with_name("mpiexec")
    found = [str(beside) if beside.exists() else "mpiexec"]
    words = subprocess.run([*found, "--version"], capture_output=True, text=True, check=False)
    is_openmpi = any(name in words.stdout for name in ("Open MPI", "OpenRTE", "prte"))
    return [*found, "--bind-to", "none", "--oversubscribe"] if is_openmpi else found


def ours(what: str, *args: str) -> list[str]:
    return [sys.executable, "-m", "distkeras.launch", str(WORKERS), what, *args]


class Bench:
    """How the measured processes are started."""

    def __init__(self, arguments: argparse.Namespace, env: dict[str, str]):
        self.n, self.seconds = arguments.ranks, str(arguments.seconds)
        self.peer, self.env = arguments.peer, env
        self.cpu: list[float] = []

    def ranks(self, what: str, *args: str) -> dict:
        """One job of N ranks; what its rank 0 prints."""
        command = [*mpiexec(), "-n", str(self.n), *ours(what, *args)]
        return json.loads(machine.run(command, self.env).splitlines()[-1])

    def at_once(self, command: list[str], n: int) -> list[dict]:
        """Equal processes at the same time."""
        pipes = [
            subprocess.Popen(command, env=self.env, cwd=machine.ROOT, stdout=subprocess.PIPE)
            for _ in range(n)
        ]
        texts = [p.communicate(timeout=300)[0].decode() for p in pipes]
        if any(p.returncode for p in pipes):
            sys.exit(f"{' '.join(command)} failed")
        return [json.loads(text.splitlines()[-1]) for text in texts]

    def round(self) -> dict[str, float]:
        """The speeds of one round, samples a second."""
        fit = ours("fit", self.seconds)
        independent = self.at_once(fit, self.n)
        ranks = self.ranks("fit", self.seconds)
        self.cpu.append(statistics.mean(x["cpu"] for x in independent) / ranks["cpu"])
        found = {
            "alone": self.at_once(fit, 1)[0]["speed"],
            "independent": sum(x["speed"] for x in independent),
            "ranks": ranks["speed"],
        }
        if self.peer:
            torch = [self.peer, str(WORKERS), "torch", self.seconds]
            run = ["-m", "torch.distributed.run", f"--nproc_per_node={self.n}"]
            found["torch alone"] = self.at_once(torch, 1)[0]["speed"]
            found["torch independent"] = sum(x["speed"] for x in self.at_once(torch, self.n))
            found["torch DDP"] = self.at_once([self.peer, *run, *torch[1:]], 1)[0]["speed"]
        return found


def report_efficiency(bench: Bench, rounds: int, limit: int) -> None:
    pairs = [("distkeras", "alone", "independent", "ranks")]
    if bench.peer:
        pairs.append(("PyTorch DDP", "torch alone", "torch independent", "torch DDP"))
    kept: dict[str, list[float]] = {name: [] for name, *_ in pairs}
    discarded = dict.fromkeys(kept, 0)
    for count in range(1, limit + 1):
        found = bench.round()
        words = ", ".join(f"{k} {v:,.0f}" for k, v in found.items())
        print(f"round {count}: {words} samples/s", flush=True)
        for name, alone, independent, together in pairs:
            if found[independent] < LEAST * bench.n * found[alone]:
                discarded[name] += 1
            else:
                kept[name].append(found[together] / found[independent])
        if count >= rounds and min(map(len, kept.values())) >= rounds:
            break
    for name, ratios in kept.items():
        said = f"{len(ratios)} rounds kept, {discarded[name]} discarded"
        if not ratios:
            print(f"{name}: {said}: the machine is too busy to tell")
            continue
        goal = ""
        if name == "distkeras":
            reached = "reached" if statistics.median(ratios) >= GOAL else "MISSED"
            goal = f"   goal: {GOAL:.2f}, {reached}"
        print(f"{name}: efficiency {machine.spread(ratios)} ({said}){goal}")
    print(
        "processor time of a sample, independent to rank 0 (rounds on a busy machine count too, "
        f"waiting does not): {machine.spread(bench.cpu)}"
    )


def report_phases(bench: Bench) -> None:
    phases = bench.ranks("phases", bench.seconds)["phases"]
    print(f"a step of {bench.n} ranks, rank 0, mean ms:")
    for name, milliseconds in phases.items():
        print(f"  {name:44} {milliseconds:7.3f}")


def report_bound(bench: Bench, rounds: int) -> None:
    for optimizer in ("sgd", "adam"):
        runs = [bench.ranks("bound", optimizer) for _ in range(rounds)]
        best = min(runs, key=lambda r: r["ratio"])
        ratios = [r["ratio"] for r in runs]
        said = "reached" if best["ratio"] <= BOUND else "MISSED"
        print(
            f"{best['megabytes']:.0f} MB, {optimizer}: {best['time']:.1f} ms; the bytes to touch "
            f"({best['touched']:.0f} MB a rank, at {best['bandwidth']:.1f} GB/s a rank) need "
            f"{best['bound']:.1f} ms; ratio {machine.spread(ratios)}   "
            f"goal: {BOUND} in the best round, {said}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=7, help="that are kept")
    parser.add_argument("--limit", type=int, default=21, help="rounds at most")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument(
        "--only", choices=("efficiency", "phases", "bound"), help="one of the three measurements"
    )
    arguments = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as scratch:
        env = machine.environment(Path(scratch), 1) | {"TMPDIR": scratch}
        bench = Bench(arguments, env)
        if arguments.only in (None, "efficiency"):
            report_efficiency(bench, arguments.rounds, arguments.limit)
        if arguments.only in (None, "phases"):
            report_phases(bench)
        if arguments.only in (None, "bound"):
            report_bound(bench, arguments.rounds)
    print(f"load at the end: {machine.load():.2f}")


if __name__ == "__main__":
    main()
