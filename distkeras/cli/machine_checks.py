"""Checks of one machine: Python, packages, plugins, cores, memory, compiler, BLAS, GPU.

Whatever loads native code or other people's Python does so in a child process: what crashes or
hangs there becomes a line of the report.
"""

import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from distkeras.cli.answers import BAD, GOOD, MISSING, WARNING, Answer, ask, version_of
from distkeras.distribution.environment import THREAD_VARIABLES, available_cores
from distkeras.kernels.cpu.compiler import compiler as c_compiler

__all__ = [
    "blas",
    "compiler",
    "cores",
    "gpu",
    "packages",
    "plugins",
    "python",
    "shared_memory",
    "threads",
]

_PACKAGES = ("numpy", "h5py", "ml_dtypes", "pluggy", "rich", "threadpoolctl")
_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")

SHARED = "/dev/shm"
# MPICH starts with about 8 MiB for two ranks; gradients of 76 MB on 2 ranks take 230 MB.
_SHARED_BROKEN = 16 << 20
_SHARED_SMALL = 256 << 20

_C_PROGRAM = "#include <math.h>\ndouble root(double x) { return sqrt(x); }\n"

_BLAS_REPORT = (
    "import json, numpy, threadpoolctl; "
    "print(json.dumps([p for p in threadpoolctl.threadpool_info() if p['user_api'] == 'blas']))"
)
_GPU_REPORT = """\
import json, cupy
r = cupy.cuda.runtime
found = [r.getDeviceProperties(i) for i in range(r.getDeviceCount())]
devices = [{"name": p["name"].decode(), "bytes": p["totalGlobalMem"]} for p in found]
print(json.dumps({"devices": devices, "sum": int(cupy.arange(4).sum()),
                  "runtime": r.runtimeGetVersion(), "driver": r.driverGetVersion()}))
"""
_PLUGIN_REPORT = "import sys; from distkeras.plugins.report import main; main(['--json'])"


def python() -> Answer:
    """Which Python runs, and where."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Answer(GOOD, text, data={"executable": sys.executable})


def packages() -> Answer:
    """Whether what distkeras needs is installed."""
    found = {name: version_of(name) for name in _PACKAGES}
    missing = [name for name, version in found.items() if version is None]
    text = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    if missing:
        return Answer(BAD, text, f"pip install {' '.join(missing)}", found)
    return Answer(GOOD, text, data=found)


def plugins() -> Answer:
    """Whether every installed plugin of distkeras can be loaded."""
    reply = ask([sys.executable, "-c", _PLUGIN_REPORT])
    if not reply.good and not reply.out.startswith("["):  # with broken plugins its status is 1
        return Answer(
            BAD,
            f"the list of plugins cannot be made: {reply.why}",
            "A plugin ends or blocks the process that loads it: uninstall the newest.",
        )
    listed = json.loads(reply.out)
    broken = {p["distribution"]: p["error"] for p in listed if p["error"]}
    data = {"plugins": {p["distribution"]: p["version"] for p in listed}, "errors": broken}
    if broken:
        text = "; ".join(f"{name}: {error}" for name, error in broken.items())
        return Answer(BAD, text, f"Upgrade or uninstall: {' '.join(broken)}.", data)
    names = [f"{p['distribution']} {p['version']}" for p in listed]
    return Answer(GOOD, ", ".join(names) or "none installed", data=data)


def cores() -> Answer:
    """How many cores this process may use."""
    usable, there = available_cores(), os.cpu_count() or 1
    data = {"usable": usable, "machine": there}
    text = f"{usable} usable of {there}"
    if usable == 1 and there > 1:
        return Answer(
            WARNING,
            text,
            "This process is bound to one core (taskset, a job's step, a container's quota). Under "
            "Slurm ask for more with --cpus-per-task, given to srun too.",
            data,
        )
    return Answer(GOOD, text, data=data)


def threads() -> Answer:
    """The variables that say how many threads BLAS and OpenMP start."""
    told = {name: os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name)}
    usable = available_cores()
    if not told:
        return Answer(GOOD, "not set: the launcher divides a node's cores among its ranks")
    text = ", ".join(f"{name}={value}" for name, value in told.items())
    strange = [name for name, value in told.items() if not value.isdecimal() or value == "0"]
    if strange:
        return Answer(
            WARNING,
            text,
            f"{', '.join(strange)}: expected a number of threads of at least 1. Unset it.",
            told,
        )
    highest = max(int(value) for value in told.values())
    if highest > usable:
        return Answer(
            WARNING,
            f"{text}, more than the {usable} usable cores",
            "Threads that share a core wait for each other. Unset these variables: the launcher "
            "sets them.",
            told,
        )
    return Answer(GOOD, text, data=told)


def shared_memory() -> Answer:
    """Size of, and room in, the memory by which the ranks of a machine exchange gradients."""
    if not os.path.isdir(SHARED):
        return Answer(MISSING, f"no {SHARED}: ranks exchange gradients through the MPI library")
    told = os.statvfs(SHARED)
    size, free = told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize
    data = {"bytes": size, "free": free}
    text = f"{_mib(free)} free of {_mib(size)} in {SHARED}"
    if free >= _SHARED_SMALL:
        return Answer(GOOD, text, data=data)
    if size >= _SHARED_SMALL:
        advice = f"Something fills it: `ls -l {SHARED}` shows what jobs that were killed left."
    else:
        advice = (
            f"A container's default is 64 MiB: docker run --shm-size=2g, or mount -o "
            f"remount,size=2g {SHARED} as root."
        )
    if free < _SHARED_BROKEN:
        return Answer(BAD, f"{text}: MPI itself may die of SIGBUS", advice, data)
    return Answer(
        WARNING, f"{text}: large gradients go through the MPI library, slower", advice, data
    )


def compiler() -> Answer:
    """Whether there is a C compiler, and whether it can build a shared library."""
    wanted = os.environ.get("CC", "").strip()
    command = c_compiler()
    if command is None:
        return Answer(
            MISSING,
            "no C compiler ($CC, cc, gcc, clang): NumPy computes everything",
            "For compiled training steps install one: apt install gcc libc6-dev, or load the "
            "cluster's module.",
        )
    path = command[0]
    told = ask([*command, "--version"], seconds=20).out.strip().splitlines()
    version = told[0] if told else "no version told"
    data = {"path": path, "version": version}
    text = f"{path}: {version}"
    with tempfile.TemporaryDirectory(prefix="distkeras-doctor-") as folder:
        source = Path(folder, "root.c")
        source.write_text(_C_PROGRAM)
        out = os.path.join(folder, "root.so")
        reply = ask([*command, "-shared", "-fPIC", "-o", out, str(source), "-lm"], 30)
    if not reply.good:
        first = next((line for line in reply.err.splitlines() if "error" in line), reply.why)
        return Answer(
            WARNING,
            f"{text}, which cannot build a shared library: {first.strip()}",
            "Install the C library's headers (apt install libc6-dev), or set CC to a compiler that "
            "works.",
            data,
        )
    if wanted and shutil.which(shlex.split(wanted)[0]) is None:
        return Answer(
            WARNING,
            f"{text}; CC={wanted} is not there",
            "Set CC to a compiler that exists, or unset it.",
            data,
        )
    return Answer(GOOD, text, data=data)


def blas() -> Answer:
    """The library that multiplies NumPy's matrices."""
    reply = ask([sys.executable, "-c", _BLAS_REPORT])
    if not reply.good:
        return Answer(
            BAD, f"NumPy does not load: {reply.why}", "pip install --force-reinstall numpy"
        )
    listed = json.loads(reply.out)
    if not listed:
        return Answer(
            WARNING,
            "NumPy has no BLAS that threadpoolctl knows",
            "Matrix products may be slow, and their threads cannot be limited. NumPy's wheels have "
            "OpenBLAS: pip install --force-reinstall numpy",
        )
    texts = [
        f"{p['internal_api']} {p['version']}"
        f"{' for ' + p['architecture'] if p.get('architecture') else ''}, {p['num_threads']} "
        f"thread{'s' * (p['num_threads'] != 1)}"
        for p in listed
    ]
    keys = ("internal_api", "version", "num_threads", "architecture", "threading_layer")
    data = {"libraries": [{key: p.get(key) for key in keys} for p in listed]}
    forced = os.environ.get("OPENBLAS_CORETYPE")
    if forced:
        return Answer(
            WARNING,
            f"{'; '.join(texts)}; forced by OPENBLAS_CORETYPE={forced}",
            "Unset OPENBLAS_CORETYPE, unless results must be those of another processor: kernels "
            "for an older one are slower.",
            data,
        )
    return Answer(GOOD, "; ".join(texts), data=data)


def gpu() -> Answer:
    """Whether there is a GPU, and CuPy for it."""
    there = shutil.which("nvidia-smi") is not None or os.path.exists("/dev/nvidiactl")
    installed = [f"{name} {version_of(name)}" for name in _CUPY if version_of(name)]
    if not installed:
        if there:
            return Answer(
                WARNING,
                "an NVIDIA driver, but no CuPy: the CPU computes",
                'pip install "distkeras[cuda13]", or [cuda12] for a driver older than 580.',
            )
        return Answer(MISSING, "none, and no CuPy: the CPU computes")
    name = ", ".join(installed)
    reply = ask([sys.executable, "-c", _GPU_REPORT])
    if len(installed) > 1:
        advice = f"Two CuPy packages overwrite each other. Keep one: pip uninstall {_CUPY[1]}"
    else:
        advice = "Compare nvidia-smi's driver with CuPy's CUDA version; see CUDA_VISIBLE_DEVICES."
    if not reply.good:
        state = BAD if there else MISSING
        return Answer(state, f"{name} finds no usable GPU: {reply.why}", advice if there else "")
    told = json.loads(reply.out.splitlines()[-1])
    devices = told["devices"]
    text = ", ".join([*(f"{d['name']} ({d['bytes'] >> 30} GiB)" for d in devices), name])
    if len(installed) > 1:
        return Answer(WARNING, text, advice, told)
    return Answer(GOOD, text, data=told)


def _mib(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB" if count < 10 << 30 else f"{count / (1 << 30):.0f} GiB"
