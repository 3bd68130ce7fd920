"""Descriptions of objects: round trips, names, sharing, and what is refused."""

import json

import numpy as np
import pytest

from distkeras.errors import MissingPluginError, SavingError, UnknownObjectError, UnsafeFileError
from distkeras.registry import custom_object_scope, get_custom_objects, register_keras_serializable
from distkeras.saving import deserialize_keras_object, serialize_keras_object
from distkeras.utils.serialization import object_sharing


@pytest.fixture(autouse=True)
def _forget():
    before = dict(get_custom_objects())
    yield
    get_custom_objects().clear()
    get_custom_objects().update(before)


class Thing:
    """A user's own class."""

    def __init__(self, value=0):
        self.value = value

    def get_config(self):
        return {"value": self.value}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(other) is type(self) and other.value == self.value

    def __hash__(self):
        return hash(self.value)


def double(x):
    return 2 * x


PLAIN = [None, True, 3, 2.5, "text", [1, [2, "x"]], {"a": {"b": [None]}}, slice(1, None, 2), ...]


@pytest.mark.parametrize("value", [*PLAIN, b"bytes"], ids=repr)
def test_plain_values(value):
    written = json.loads(json.dumps(serialize_keras_object(value)))
    assert deserialize_keras_object(written) == value


def test_arrays_and_tensors():
    from distkeras import ops

    array = np.arange(6, dtype="int16").reshape(2, 3)
    again = deserialize_keras_object(json.loads(json.dumps(serialize_keras_object(array))))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    tensor = ops.convert_to_tensor([[1.5, 2.0]])
    written = json.loads(json.dumps(serialize_keras_object(tensor)))
    assert written["class_name"] == "__tensor__"
    again = deserialize_keras_object(written)
    assert again.dtype == "float32"
    assert np.asarray(again).tolist() == [[1.5, 2.0]]
    assert serialize_keras_object(np.float32(0.5)) == 0.5
    assert serialize_keras_object(np.dtype("float32")) == "float32"


def test_a_built_in_object_has_the_names_of_keras():
    from distkeras.dtype_policies import DTypePolicy

    assert serialize_keras_object(DTypePolicy("float32")) == {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
    }


def test_own_classes_and_functions():
    written = serialize_keras_object(Thing(4))
    assert written["registered_name"] == "Thing"
    with pytest.raises(UnknownObjectError, match="register_keras_serializable"):
        deserialize_keras_object(written)
    assert deserialize_keras_object(written, custom_objects={"Thing": Thing}) == Thing(4)
    with custom_object_scope({"Thing": Thing}):
        assert deserialize_keras_object(written) == Thing(4)
    register_keras_serializable("tests")(Thing)
    register_keras_serializable("tests")(double)
    written = json.loads(json.dumps(serialize_keras_object([Thing(5), double])))
    assert written[0]["registered_name"] == "tests>Thing"
    assert written[1]["config"] == "tests>double"
    assert deserialize_keras_object(written) == [Thing(5), double]


def test_an_object_met_twice_is_one_object_again():
    register_keras_serializable("tests")(Thing)
    thing = Thing(1)
    with object_sharing():
        written = json.loads(json.dumps(serialize_keras_object([thing, thing, Thing(1)])))
        first, second, third = deserialize_keras_object(written)
    assert first is second
    assert first is not third
    first, second, _ = deserialize_keras_object(written)  # outside of a model
    assert first is not second


def test_lambdas_are_not_written():
    with pytest.raises(SavingError, match=r"test_serialization\.py:\d+\) cannot be saved"):
        serialize_keras_object({"activation": lambda x: x})


def test_objects_without_a_configuration():
    with pytest.raises(TypeError, match="get_config"):
        serialize_keras_object(object())
    with pytest.raises(TypeError, match="must return a dictionary"):
        serialize_keras_object(type("Odd", (), {"get_config": lambda self: 3})())


CODE = {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}}


@pytest.mark.parametrize("safe_mode", [True, False])
def test_code_is_refused_in_either_mode(safe_mode):
    with pytest.raises(UnsafeFileError, match="byte code"):
        deserialize_keras_object(CODE, safe_mode=safe_mode)
    with pytest.raises(UnsafeFileError, match="byte code"):
        deserialize_keras_object({"a": [CODE]}, safe_mode=safe_mode)


def described(module, class_name, **more):
    return {
        "module": module,
        "class_name": class_name,
        "config": {},
        "registered_name": None,
        **more,
    }


@pytest.mark.parametrize(
    "module,name",
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "object"),
        ("distkeras.utils.files", "atomic_write"),
        ("keras.utils", "get_file"),
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.models", "load_model"),
        ("keras.layers", "__class__"),
        ("keras.layers", "no_such_module_here"),
        ("keras.src.layers.core.lambda_layer", "os"),
        ("keras.callbacks", "CSVLogger"),
        ("keras", "config"),
        ("no_such_module_here", "Thing"),
        (["os"], "system"),
        (None, "system"),
    ],
)
def test_names_lead_nowhere_but_to_known_objects(module, name):
    import sys

    before = set(sys.modules)
    with pytest.raises((UnknownObjectError, UnsafeFileError)):
        deserialize_keras_object(described(module, name))
    with pytest.raises((UnknownObjectError, UnsafeFileError)):
        deserialize_keras_object(described(module, "function") | {"config": name})
    assert "no_such_module_here" not in sys.modules
    assert not {m for m in set(sys.modules) - before if m.startswith("subprocess")}


def test_a_built_in_name_with_somebodys_registered_name():
    with pytest.raises(UnsafeFileError, match="Custom>Mine"):
        deserialize_keras_object(
            described("keras", "DTypePolicy", registered_name="Custom>Mine")
            | {"config": {"name": "float32"}}
        )


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": 3, "config": {}},
        {"class_name": "function", "config": ["os.system"]},
        {"class_name": "Dense", "config": [1], "module": "keras.layers"},
        {"class_name": "__slice__", "config": {}},
        {"class_name": "__numpy__", "config": {"value": ["x"], "dtype": "no dtype"}},
        {"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}},
        {"class_name": "__bytes__", "config": None},
        {"class_name": "__keras_tensor__", "config": {"shape": "abc"}},
        {"class_name": "__tensor__", "config": {"value": [1, [2]], "dtype": "float32"}},
        {"class_name": "DTypePolicy", "config": {"nme": 1}, "module": "keras"},
    ],
    ids=str,
)
def test_malformed_descriptions_are_named_errors(config):
    with pytest.raises(SavingError):
        deserialize_keras_object(config)


RECORD = {"kind": "layer", "name": "Gone", "distribution": "gone-layers", "version": "1.4"}


def test_a_missing_plugin_says_what_to_install():
    with pytest.raises(MissingPluginError, match=r"pip install gone-layers==1\.4"):
        deserialize_keras_object(described("gone_layers.layers", "Gone", plugin=RECORD))


@pytest.mark.parametrize(
    "changes",
    [
        {"distribution": "x; rm -rf ~"},
        {"distribution": "--index-url=http://evil"},
        {"version": "1 --index-url=http://evil"},
        {"distribution": ""},
    ],
    ids=str,
)
def test_a_file_cannot_word_the_pip_line(changes):
    with pytest.raises(UnsafeFileError):
        deserialize_keras_object(described("m", "Gone", plugin=RECORD | changes))


@pytest.mark.parametrize("kind", ["strategy", "kernel", "primitive", "callback", 3, None])
def test_only_kinds_of_models_can_stand_in_a_file(kind):
    with pytest.raises(UnknownObjectError, match="neither built in nor registered"):
        deserialize_keras_object(described("m", "Gone", plugin=RECORD | {"kind": kind}))


def test_a_layer_that_only_keras_has():
    with pytest.raises(UnknownObjectError, match=r"keras\.layers\.NoSuchLayer of Keras"):
        deserialize_keras_object(described("keras.layers", "NoSuchLayer"))


def test_a_plugin_record_cannot_stand_for_another_distribution():
    record = RECORD | {"kind": "policy", "name": "DTypePolicy"}
    with pytest.raises(MissingPluginError, match="gone-layers"):
        deserialize_keras_object(described("m", "DTypePolicy", plugin=record))
