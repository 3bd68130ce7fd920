"""The example plugin, installed in an environment of its own, trains on two ranks."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import distkeras
from support import mpi
from support.processes import run_job

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "plugins" / "distkeras-example"
SECONDS = 60

TRAIN = """
import sys
import numpy as np
import distkeras as keras

keras.utils.set_random_seed(1)
model = keras.Sequential([
    keras.Input((4,)),
    keras.layers.FeatureScale(),
    keras.layers.Dense(8, activation="snake"),
    keras.layers.Dense(1),
])
model.compile("adam", "mse")
x = np.linspace(-1, 1, 64, dtype="float32").reshape(16, 4)
timer = keras.callbacks.EpochTimer()
history = model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0, callbacks=[timer])
assert len(timer.seconds) == 3
assert history.history["loss"][-1] < history.history["loss"][0]
assert not np.array_equal(model.layers[0].get_weights()[0], np.ones(4))
model.save(sys.argv[1])
again = keras.saving.load_model(sys.argv[1])
assert type(again.layers[0]).__module__ == "distkeras_example.layers"
np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(model(x)))
print("trained on", keras.distribution.size())
"""
LOAD = """
import sys
import distkeras as keras
try:
    keras.saving.load_model(sys.argv[1])
except keras.errors.MissingPluginError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python of a fresh environment with this distkeras and the example plugin."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    found = folder / "bin" / "python"
    answer = subprocess.run(
        [found, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    packages = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places = dict.fromkeys([str(Path(distkeras.__path__[0]).parent), *packages])
    (Path(answer.stdout.strip()) / "this.pth").write_text("\n".join(places))
    line = [sys.executable, "-m", "pip", "--python", str(found), "install", "--quiet", "--no-deps"]
    # The build writes beside the sources, so it gets a copy of them.
    copy = folder / "sources"
    copy.mkdir()
    for path in EXAMPLE.rglob("*"):
        if path.is_file() and not {"build", "__pycache__"} & set(path.parts):
            target = copy / path.relative_to(EXAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    offline = ["--no-build-isolation", "--no-index"] if can_build() else []
    done = subprocess.run(
        [*line, "--disable-pip-version-check", *offline, str(copy)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return str(found)


def can_build() -> bool:
    """Whether a wheel can be built here without fetching setuptools."""
    return bool(importlib.util.find_spec("setuptools") and importlib.util.find_spec("wheel"))


def run(line, **env):
    whole = {k: v for k, v in mpi.environment().items() if k != "PYTHONPATH"}
    return run_job(line, timeout=SECONDS, env={**whole, **env}, cwd="/")


@pytest.mark.usefixtures("needs_mpi")
def test_the_example_plugin(python, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "load.py").write_text(LOAD)
    saved = str(tmp_path / "model.keras")

    listed = run([python, "-c", "from distkeras.cli import main; main(['plugins', '--json'])"])
    plugins = {plugin["distribution"]: plugin for plugin in json.loads(listed.stdout)}
    plugin = plugins["distkeras-example"]  # this environment may have others
    assert plugin["error"] == ""
    assert {entry["kind"] for entry in plugin["brings"]} == {"layer", "activation", "callback"}

    launch = ["-m", "distkeras.launch", str(tmp_path / "train.py"), saved]
    line = mpi.command(2, launch)
    line[line.index(sys.executable)] = python
    # mpi4py looks for the library of a wheel in the environment that it runs in.
    libraries = [f"{sys.prefix}/lib", os.environ.get("LD_LIBRARY_PATH", "")]
    job = run(line, LD_LIBRARY_PATH=os.pathsep.join(filter(None, libraries)))
    assert job.returncode == 0, job.describe()
    assert job.stdout.count("trained on 2") >= 1, job.describe()

    environment = {"PYTHONPATH": str(Path(distkeras.__path__[0]).parent)}
    without = run([sys.executable, str(tmp_path / "load.py"), saved], **environment)
    assert "pip install distkeras-example==0.1.0" in without.stdout, without.describe()
    assert "'FeatureScale'" in without.stdout
    assert os.listdir(tmp_path)  # nothing was removed by the failed load
