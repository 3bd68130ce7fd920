"""Plugins are found, listed, kept apart, and break nothing."""

import importlib.metadata

GOOD = """
from distkeras.plugins import hookimpl

@hookimpl
def distkeras_register(registry):
    registry.add("activation", "{name}", "math:{target}", aliases=("{name}_too",))

@hookimpl
def distkeras_report_header():
    return ["header of {name}"]
"""
LOOK_UP = """
import warnings
warnings.simplefilter("error")
from distkeras.registry import REGISTRY
print(REGISTRY.resolve("activation", "root")(9.0), REGISTRY.resolve("activation", "root_too")(4.0))
print(REGISTRY.provider_of(__import__("math").sqrt).distribution)
"""
BUILT_IN_ONLY = """
import sys, warnings
from distkeras.registry import REGISTRY
assert REGISTRY.resolve("policy", "DTypePolicy").__name__ == "DTypePolicy"
assert "importlib.metadata" not in sys.modules or "plug_a" not in sys.modules
assert "plug_a" not in sys.modules
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert REGISTRY.find("activation", "nobody") is None
    assert REGISTRY.find("activation", "nobody") is None
assert len(caught) == 1, caught
print(caught[0].category.__name__, caught[0].message)
"""


def test_a_plugin_is_found_by_name_and_alias(site):
    site.add("plug-a", GOOD.format(name="root", target="sqrt"))
    done = site.python("-c", LOOK_UP)
    assert done.stdout.splitlines() == ["3.0 2.0", "plug-a"], done.stderr


ATTRIBUTES = """
import distkeras as keras
places = {places}
for kind, module in places.items():
    assert module.__getattr__("New_" + kind) is __import__("math").sqrt, kind
    assert not hasattr(module, "Nothing")
assert keras.optimizers.New_optimizer(9.0) == 3.0
assert not hasattr(keras.optimizers, "adam")  # a further name of a built-in object is no attribute
"""
PLACES = {
    "layer": "keras.layers",
    "model": "keras.models",
    "loss": "keras.losses",
    "metric": "keras.metrics",
    "optimizer": "keras.optimizers",
    "schedule": "keras.optimizers.schedules",
    "callback": "keras.callbacks",
    "initializer": "keras.initializers",
    "activation": "keras.activations",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
}


def test_names_are_attributes_of_the_modules_of_their_kinds(site):
    head = "from distkeras.plugins import hookimpl\n@hookimpl\ndef distkeras_register(registry):\n"
    lines = [f"    registry.add('{kind}', 'New_{kind}', 'math:sqrt')\n" for kind in PLACES]
    site.add("plug-all", head + "".join(lines))
    places = ", ".join(f"{kind!r}: {module}" for kind, module in PLACES.items())
    done = site.python("-c", ATTRIBUTES.format(places=f"{{{places}}}"))
    assert done.returncode == 0, done.stderr


def test_the_list(site):
    site.add("plug-a", GOOD.format(name="root", target="sqrt"), version="2.3")
    done = site.plugins()
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    begin = lines.index("plug-a 2.3  (plugin = plug_a)")  # others may be installed here
    assert lines[begin + 1 : begin + 3] == ["activation: root", "header of root"]
    listed = site.listed()["plug-a"]
    assert listed["brings"] == [{"kind": "activation", "name": "root", "target": "math:sqrt"}]
    assert (listed["version"], listed["error"]) == ("2.3", "")


def test_no_plugin(site):
    done = site.plugins()
    assert done.returncode == 0
    others = importlib.metadata.entry_points(group="distkeras")
    assert ("No plugin is installed" in done.stdout) == (not others)


def test_switched_off(site):
    site.add("plug-a", GOOD.format(name="root", target="sqrt"))
    done = site.python("-c", LOOK_UP, DISTKERAS_PLUGINS="0")
    assert "No activation is named 'root'" in done.stderr


def test_wrong_arguments(site):
    done = site.plugins("--jsn")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: distkeras plugins" in done.stderr


def test_a_broken_plugin_is_named_and_warned_of_once(site):
    site.add("plug-a", "import no_such_module_here")
    site.add("plug-b", GOOD.format(name="root", target="sqrt"))
    done = site.python("-c", BUILT_IN_ONLY)
    assert done.stdout.startswith("PluginWarning The plugin 'plugin' of plug-a 1.0"), done.stderr
    assert "No module named 'no_such_module_here'" in done.stdout
    listed = site.listed()
    assert "ModuleNotFoundError" in listed["plug-a"]["error"]
    assert listed["plug-b"]["error"] == ""
    assert site.plugins().returncode == 1


def test_other_ways_to_be_broken(site):
    head = "from distkeras.plugins import hookimpl\n@hookimpl\ndef "
    site.add("plug-exit", "raise SystemExit(3)")
    site.add("plug-hook", f"{head}distkeras_regster(registry): pass")
    site.add("plug-argument", f"{head}distkeras_register(registry, more): pass")
    site.add("plug-kind", f"{head}distkeras_register(registry): registry.add('layr', 'A', 'm:A')")
    site.add("plug-raises", f"{head}distkeras_register(registry): raise RuntimeError('oh')")
    site.add("plug-empty", "")
    errors = {name: plugin["error"] for name, plugin in site.listed().items()}
    assert "SystemExit: 3" in errors["plug-exit"]
    assert "distkeras_regster, which distkeras does not have" in errors["plug-hook"]
    assert "more" in errors["plug-argument"]
    assert "got 'layr'" in errors["plug-kind"]
    assert "RuntimeError: oh" in errors["plug-raises"]
    assert errors["plug-empty"] == ""


def test_two_providers_are_an_error_naming_both(site):
    site.add("plug-a", GOOD.format(name="root", target="sqrt"), version="1.1")
    site.add("plug-b", GOOD.format(name="root", target="cbrt"), version="2.2")
    done = site.python("-W", "ignore", "-c", LOOK_UP.replace('("error")', '("ignore")'))
    assert "PluginError" in done.stderr
    assert "plug-a 1.1" in done.stderr
    assert "plug-b 2.2" in done.stderr
    assert "plug-a 1.1" in site.listed()["plug-b"]["error"]


def test_a_plugin_cannot_take_a_built_in_name(site):
    code = GOOD.format(name="DTypePolicy", target="sqrt").replace('"activation"', '"policy"')
    site.add("plug-a", code)
    assert "distkeras itself" in site.listed()["plug-a"]["error"]
    done = site.python("-W", "ignore", "-c", BUILT_IN_ONLY.split("assert")[0] + CHECK_BUILT_IN)
    assert done.stdout == "DTypePolicy\n", done.stderr


CHECK_BUILT_IN = """
REGISTRY.discover()
print(REGISTRY.resolve("policy", "DTypePolicy").__name__)
"""
FINGERPRINT = "from distkeras.plugins import fingerprint; print(fingerprint())"


def test_the_fingerprint_tells_plugins_apart(site, tmp_path):
    prints = [site.python("-W", "ignore", "-c", FINGERPRINT).stdout]
    site.add("plug-a", GOOD.format(name="root", target="sqrt"))
    prints.append(site.python("-W", "ignore", "-c", FINGERPRINT).stdout)
    assert site.python("-W", "ignore", "-c", FINGERPRINT).stdout == prints[-1]
    (tmp_path / "plug_a.py").write_text(GOOD.format(name="square_root", target="sqrt"))
    prints.append(site.python("-W", "ignore", "-c", FINGERPRINT).stdout)
    (tmp_path / "plug_a-1.0.dist-info" / "METADATA").write_text("Name: plug-a\nVersion: 1.1\n")
    prints.append(site.python("-W", "ignore", "-c", FINGERPRINT).stdout)
    assert len(set(prints)) == 4
    assert all(len(text.strip()) == 16 for text in prints)
