"""The registry: names, providers, conflicts, lazy discovery, custom objects."""

import contextvars
import fractions
import threading

import pytest

from distkeras.errors import ArgumentError, PluginError, UnknownNameError
from distkeras.registry import (
    Registry,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def forget():
    """Leave the process-wide custom objects as they were."""
    before = dict(get_custom_objects())
    yield
    get_custom_objects().clear()
    get_custom_objects().update(before)


def test_an_object_is_imported_on_first_use(registry):
    registry.add("layer", "Missing", "no_such_module_here:Missing", distribution="p", version="1")
    registry.add("layer", "Half", "fractions:Fraction", distribution="p", version="1")
    assert registry.provider("layer", "Missing").distribution == "p"
    assert registry.resolve("layer", "Half") is fractions.Fraction
    with pytest.raises(PluginError, match="plugin p 1, which cannot load 'no_such_module_here"):
        registry.resolve("layer", "Missing")


def test_a_broken_built_in_object_shows_its_own_error(registry):
    registry.add("layer", "Missing", "no_such_module_here:Missing")
    with pytest.raises(ModuleNotFoundError):
        registry.find("layer", "Missing")


def test_find_and_resolve_of_an_unknown_name(registry):
    registry.add("loss", "mean_error", "math:fsum", aliases=("me",))
    assert registry.find("loss", "nothing") is None
    with pytest.raises(UnknownNameError, match=r"No loss is named 'mean_eror'.*'mean_error'"):
        registry.resolve("loss", "mean_eror")


def test_aliases_find_the_object_and_are_not_names(registry):
    registry.add("loss", "mean_error", "math:fsum", aliases=("me", "ME"))
    assert registry.resolve("loss", "ME") is registry.resolve("loss", "mean_error")
    assert registry.names("loss") == ["mean_error"]
    assert registry.provider_of(registry.resolve("loss", "me")).name == "mean_error"


def test_two_plugins_with_one_name_name_both(registry):
    registry.add("layer", "Scale", "one.layers:Scale", distribution="one", version="1.2")
    with pytest.raises(PluginError, match=r"one 1\.2 .*two 3"):
        registry.add("layer", "Scale", "two:Scale", distribution="two", version="3")
    with pytest.raises(PluginError, match=r"one 1\.2 .*two 3.*pip uninstall one | two"):
        registry.resolve("layer", "Scale")
    registry.add("loss", "Scale", "math:fsum", distribution="two", version="3")  # another kind


def test_a_built_in_name_keeps_its_meaning(registry):
    registry.add("layer", "Dense", "fractions:Fraction")
    with pytest.raises(PluginError, match="distkeras itself"):
        registry.add("layer", "Dense", "math:sqrt", distribution="two", version="3")
    assert registry.resolve("layer", "Dense") is fractions.Fraction


def test_the_same_provider_twice_is_no_conflict(registry):
    for _ in range(2):
        registry.add("layer", "Dense", "fractions:Fraction")
    assert registry.names("layer") == ["Dense"]


@pytest.mark.parametrize(
    "kind,name,target",
    [("layr", "A", "m:A"), ("layer", "A", "m"), ("layer", "", "m:A"), ("layer", "A", None)],
)
def test_nonsense_is_refused(registry, kind, name, target):
    with pytest.raises(ArgumentError):
        registry.add(kind, name, target)
    assert registry.names("layer") == []


def test_discovery_runs_in_steps_once_and_only_when_needed():
    ran = []
    registry = Registry()

    def first():
        ran.append("first")
        registry.add("layer", "A", "fractions:Fraction")

    def second():
        ran.append("second")
        registry.add("layer", "B", "math:sqrt", distribution="p", version="1")

    registry.set_discovery(first, second)
    assert ran == []
    registry.find("layer", "A")
    assert ran == ["first"]
    registry.find("layer", "B")
    registry.find("layer", "C")
    assert ran == ["first", "second"]


def test_discovery_once_with_many_threads():
    ran = []
    registry = Registry((lambda: ran.append(registry.add("layer", "A", "math:sqrt")),))
    threads = [threading.Thread(target=registry.resolve, args=("layer", "A")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ran == [None]


def test_provider_of_an_object_that_was_imported_directly(registry):
    registry.add("layer", "Half", "fractions:Fraction", distribution="p", version="1")
    assert registry.provider_of(fractions.Fraction).distribution == "p"
    assert registry.provider_of(fractions.Fraction(1, 2)).name == "Half"
    assert registry.provider_of(dict) is None


def make(module="m", qualname="Thing"):
    cls = type("Thing", (), {"get_config": lambda self: {}})
    cls.__module__, cls.__qualname__ = module, qualname
    return cls


@pytest.mark.usefixtures("forget")
def test_registered_objects():
    thing = register_keras_serializable("pack")(make())
    assert get_registered_name(thing) == "pack>Thing"
    assert get_registered_object("pack>Thing") is thing
    assert get_registered_name(dict) == "dict"
    with pytest.raises(ArgumentError, match="get_config"):
        register_keras_serializable()(type("Bare", (), {}))


@pytest.mark.usefixtures("forget")
def test_registering_again():
    old = register_keras_serializable("pack")(make())
    new = register_keras_serializable("pack")(make())  # a notebook's cell, run again
    assert get_registered_object("pack>Thing") is new
    assert get_registered_name(old) == "Thing"
    with pytest.raises(PluginError, match=r"m\.Thing and other\.Thing"):
        register_keras_serializable("pack")(make("other"))
    assert get_registered_object("pack>Thing") is new


def test_scopes_nest_and_belong_to_their_context(registry):
    registry.add("activation", "name", "math:sqrt")
    seen = []

    def look():
        seen.append(get_registered_object("name"))

    with custom_object_scope({"name": abs, "outer": len}):
        with custom_object_scope({"name": max}):
            assert registry.resolve("activation", "name") is max
            assert get_registered_object("outer") is len
        assert registry.resolve("activation", "name") is abs
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        contextvars.copy_context().run(look)
    assert seen == [None, abs]
    assert registry.resolve("activation", "name").__name__ == "sqrt"
