"""The tables of built-in names are complete, right, and cheap to read."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import distkeras
from distkeras.plugins.builtin import PACKAGES, SMALL_TABLES, TOOLS
from distkeras.registry import KINDS, REGISTRY

# Bases that users derive from, but do not name in a model.
FAMILIES = {
    "layer": "distkeras.layers.layer:Layer",
    "loss": "distkeras.losses.loss:Loss",
    "metric": "distkeras.metrics.metric:Metric",
    "optimizer": "distkeras.optimizers.optimizer:Optimizer",
    "callback": "distkeras.callbacks.callback:Callback",
    "initializer": "distkeras.initializers.initializer:Initializer",
    "regularizer": "distkeras.regularizers:Regularizer",
    "constraint": "distkeras.constraints:Constraint",
}


@pytest.mark.parametrize("kind", [*PACKAGES, *SMALL_TABLES])
def test_every_name_of_a_table_resolves(kind):
    assert kind in KINDS
    entries = [p for p in REGISTRY.providers() if p.kind == kind and p.built_in]
    assert entries, f"there is no built-in {kind}"
    for provider in entries:
        found = REGISTRY.load(provider)
        assert found.__name__ == provider.name
        assert REGISTRY.provider_of(found).kind == kind


@pytest.mark.parametrize("kind", PACKAGES)
def test_the_namespace_has_the_names_of_its_table(kind):
    package = importlib.import_module(PACKAGES[kind][0])
    public = {new for names in package.NAMES.values() for new in (n.split("=")[0] for n in names)}
    assert public <= set(package.__all__)
    for name in public:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_public_class_is_in_its_table(kind):
    """A public class is one that a module of the package lists in `__all__`."""
    module, _, name = FAMILIES[kind].partition(":")
    base = getattr(importlib.import_module(module), name)
    package = importlib.import_module(PACKAGES[kind][0])
    table = {(m, n.split("=")[-1]) for m, names in package.NAMES.items() for n in names}
    known = {name for _, name in table}
    missing = []
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        part = importlib.import_module(info.name)
        for public in getattr(part, "__all__", ()):
            thing = getattr(part, public)
            own = inspect.isclass(thing) and issubclass(thing, base)
            if own and thing.__module__ == info.name and public not in known | TOOLS:
                missing.append(f"{info.name}.{public}")
    assert not [name for name in missing if not _is_family(name)]


def _is_family(path: str) -> bool:
    """Whether a class is only there to be derived from: others of its package derive from it."""
    module, _, name = path.rpartition(".")
    return bool(getattr(importlib.import_module(module), name).__subclasses__())


@pytest.mark.parametrize(
    "kind,alias,name",
    [
        ("loss", "mean_squared_error", "mean_squared_error"),
        ("optimizer", "adam", "Adam"),
        ("initializer", "glorot_uniform", "GlorotUniform"),
        ("layer", "MaxPool2D", "MaxPooling2D"),
        ("regularizer", "l1_l2", "L1L2"),
    ],
)
def test_further_names_of_keras(kind, alias, name):
    assert REGISTRY.resolve(kind, alias).__name__ == name


CHEAP = """
import sys
from distkeras.registry import REGISTRY
assert REGISTRY.provider("layer", "Dense")
heavy = {"numpy", "h5py", "rich", "mpi4py", "ml_dtypes"} & set(sys.modules)
print(sorted(heavy), "distkeras.layers.core.dense" in sys.modules)
"""


def test_reading_the_tables_imports_no_layer():
    line = [sys.executable, "-c", CHEAP]
    done = subprocess.run(line, capture_output=True, text=True, cwd=distkeras.__path__[0] + "/..")
    assert done.stdout == "[] False\n", done.stderr


def test_an_unknown_attribute_of_a_package():
    with pytest.raises(AttributeError, match="no installed plugin brings a layer of that name"):
        _ = distkeras.layers.NoSuchLayer
