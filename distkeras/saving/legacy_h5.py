"""Whole models in one HDF5 file (`.h5`), the format before `.keras`, in the layout of Keras 3.

The file has the attributes `model_config` and `training_config` (JSON, objects without their
modules), the group `model_weights` with one group for each layer, and `optimizer_weights`. A group
lists its arrays in the attribute `weight_names`, in order: order decides, names are for people.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distkeras.errors import SavingError
from distkeras.registry import REGISTRY, get_registered_object
from distkeras.saving.h5_store import (
    ArrayGroup,
    array_of,
    child_group,
    open_reader,
    open_writer,
    set_text,
    text_attribute,
)
from distkeras.saving.model_format import KERAS_VERSION, model_from_text
from distkeras.saving.once import write_once
from distkeras.saving.weights_format import open_file, unchanged_on_error
from distkeras.utils.custom_objects import CustomObjectScope
from distkeras.utils.files import atomic_write
from distkeras.utils.serialization import keras_name, serialize_keras_object

__all__ = ["load_legacy_model", "load_legacy_weights", "save_legacy_model"]

# HDF5 cannot keep an attribute that is longer.
_MAX_ATTRIBUTE_BYTES = 64512
_TOP = "top_level_model_weights"


# Writing


def save_legacy_model(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes a whole model to an `.h5` file.

    Args:
        model: the model.
        path: the file.
        include_optimizer: whether to write the optimizer and how the model was compiled.
    """
    optimizer = getattr(model, "optimizer", None) if include_optimizer else None
    config = _without_modules(serialize_keras_object(model))
    facts = {
        "keras_version": KERAS_VERSION,
        "backend": "distkeras",
        "model_config": json.dumps(config),
    }
    if optimizer is not None and getattr(model, "compiled", False):
        facts["training_config"] = json.dumps(_training_config(model, optimizer))

    def write() -> None:
        with atomic_write(path) as file, open_writer(file) as h5:
            for name, text in facts.items():
                set_text(h5, name, text)
            _write_layers(h5.create_group("model_weights"), model)
            if optimizer is not None and list(optimizer.variables):
                _write_arrays(h5.create_group("optimizer_weights"), optimizer.variables)

    write_once(path, write)


def _write_layers(group: Any, model: Any) -> None:
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    set_text(group, "backend", "distkeras")
    set_text(group, "keras_version", KERAS_VERSION)
    for layer in sorted(model.layers, key=lambda one: one.name):
        _write_arrays(group.create_group(layer.name), _in_legacy_order(layer))
    _write_arrays(group.create_group(_TOP), _top_level(model))


def _write_arrays(group: Any, variables: Sequence[Any]) -> None:
    names = [str(getattr(variable, "path", variable.name)) for variable in variables]
    if len(set(names)) < len(names):
        names = [f"{name}_{number}" for number, name in enumerate(names)]
    _write_names(group, "weight_names", names)
    store = ArrayGroup(group)
    for name, variable in zip(names, variables, strict=True):
        store[name] = variable.numpy()


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    longest = max((len(name.encode("utf-8")) for name in names), default=1)
    per_attribute = max(1, _MAX_ATTRIBUTE_BYTES // max(longest, 1))
    if len(names) <= per_attribute:
        set_text(group, attribute, names)
        return
    for number, start in enumerate(range(0, len(names), per_attribute)):
        set_text(group, f"{attribute}{number}", names[start : start + per_attribute])


def _in_legacy_order(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _top_level(model: Any) -> list[Any]:
    """Weights that the model itself has, beside those of its layers."""
    own = [*model._trainable_variables, *model._non_trainable_variables]
    known = {id(variable) for variable in model.weights}
    return [variable for variable in own if id(variable) in known]


def _without_modules(described: Any) -> Any:
    """The description of a model as this format has it: class names alone for models and layers."""
    legacy = {"class_name": _short_name(described), "config": described["config"]}
    for key in ("name", "inbound_nodes"):
        if key in described:
            legacy[key] = described[key]
    layers = described["config"].get("layers")
    if isinstance(layers, list):
        inner = [_without_modules(layer) for layer in layers]
        legacy["config"] = {**described["config"], "layers": inner}
    return legacy


def _short_name(described: Mapping[str, Any]) -> str:
    module = described.get("module") or ""
    built_in = module == "keras" or module.startswith("keras.")
    return described["class_name"] if built_in else described["registered_name"]


def _training_config(model: Any, optimizer: Any) -> dict[str, Any]:
    config = dict(model.get_compile_config() or {})
    config.pop("optimizer", None)
    return {
        **_short_objects(config),
        "optimizer_config": {
            "class_name": _short_name(serialize_keras_object(optimizer)),
            "config": serialize_keras_object(optimizer.get_config()),
        },
    }


def _short_objects(config: Any) -> Any:
    if isinstance(config, list | tuple):
        return [_short_objects(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "function":
        return config["config"]
    if "class_name" in config and "config" in config:
        return {"class_name": _short_name(config), "config": config["config"]}
    return {key: _short_objects(value) for key, value in config.items()}


# Reading


def load_legacy_model(
    path: str | os.PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a whole model from an `.h5` file.

    Args:
        path: the file.
        custom_objects: name -> class or function.
        compile: whether to compile it as it was.
        safe_mode: see `deserialize_keras_object`.

    Raises:
        SavingError: the file is of another kind, or damaged.
    """
    name = os.fspath(path)
    with open_file(path) as file, open_reader(file, name) as h5:
        text = text_attribute(h5, "model_config")
        if text is None:
            raise SavingError(
                f"{name} holds no model, only arrays: it has no attribute 'model_config'. Build "
                "the model and call model.load_weights() on the file."
            )
        with CustomObjectScope(custom_objects):
            config = _with_modules(_parsed(text, name))
            model = model_from_text(json.dumps(config), safe_mode=safe_mode)
            _read_layers(_weights_group(h5, name), model, name)
            training = text_attribute(h5, "training_config")
            if compile and training is None:
                warnings.warn(
                    f"{name} does not say how the model was compiled: compile it before training.",
                    stacklevel=3,
                )
            elif compile:
                _compile(model, _parsed(training or "", name))
                _read_optimizer(h5, model)
    return model


def load_legacy_weights(
    model: Any, path: str | os.PathLike, by_name: bool = False, skip_mismatch: bool = False
) -> None:
    """Reads a model's weights from an `.h5` file: of a whole model, or of weights alone.

    Args:
        model: a built model.
        path: the file.
        by_name: find layers by their names instead of their order; others keep their weights.
        skip_mismatch: keep the weights of layers that do not fit, with a warning.

    Raises:
        SavingError: the file does not fit the model, which is left as it was.
    """
    name = os.fspath(path)
    with open_file(path) as file, open_reader(file, name) as h5, unchanged_on_error(model):
        group = h5 if _names(h5, "layer_names") else _weights_group(h5, name)
        _read_layers(group, model, name, by_name, skip_mismatch)


def _parsed(text: str, name: str) -> Any:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SavingError(f"The model's description in {name} is not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise SavingError(f"The model's description in {name} should be a JSON object.")
    return parsed


def _weights_group(h5: Any, name: str) -> Any:
    group = child_group(h5, "model_weights")
    if group is None:
        raise SavingError(f"{name} has no group 'model_weights': it is not a file of this format.")
    return group


def _with_modules(described: Any) -> Any:
    """The description that `deserialize_keras_object` takes, from one of class names alone."""
    if not isinstance(described, dict) or not isinstance(described.get("class_name"), str):
        raise SavingError(f"Expected the description of a layer; got {str(described)[:200]}.")
    config = described.get("config")
    if isinstance(config, list):  # the oldest form of a Sequential
        config = {"layers": config}
    if config is not None and not isinstance(config, dict):
        raise SavingError(f"Expected the configuration of a layer; got {str(config)[:200]}.")
    config = dict(config or {})
    if isinstance(config.get("function"), list):  # how a Lambda of Keras 2 holds its code
        config["function"] = {"class_name": "__lambda__", "config": {}}
    if "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    if isinstance(config.get("layers"), list):
        config["layers"] = [_with_modules(layer) for layer in config["layers"]]
    return {**_located(described["class_name"], ("layer", "model")), **described, "config": config}


def _located(class_name: str, kinds: Sequence[str]) -> dict[str, Any]:
    """Module and registered name of a class that a file gives by its name alone."""
    if get_registered_object(class_name) is None:
        for kind in kinds:
            provider = REGISTRY.provider(kind, class_name)
            if provider is not None:
                return keras_name(provider)
    return {"module": None, "registered_name": class_name}


def _names(group: Any, attribute: str) -> list[str]:
    parts = [group.attrs[attribute]] if attribute in group.attrs else []
    while not parts or f"{attribute}{len(parts)}" in group.attrs:
        if f"{attribute}{len(parts)}" not in group.attrs:
            break
        parts.append(group.attrs[f"{attribute}{len(parts)}"])
    flat = [name for part in parts for name in np.asarray(part).ravel()]
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in flat]


def _arrays(group: Any, name: str) -> list[np.ndarray]:
    try:
        return [array_of(group, array) for array in _names(group, "weight_names")]
    except KeyError as error:
        raise SavingError(f"{name}: the array {error} is listed but not there.") from error


def _read_layers(
    group: Any, model: Any, name: str, by_name: bool = False, skip_mismatch: bool = False
) -> None:
    saved: dict[str, list[np.ndarray]] = {}
    for layer_name in _names(group, "layer_names"):
        folder = child_group(group, layer_name)
        if folder is None:
            raise SavingError(f"{name}: the layer {layer_name!r} is listed but not there.")
        saved[layer_name] = _arrays(folder, name)
    if by_name:
        pairs = [(layer, saved[layer.name]) for layer in model.layers if layer.name in saved]
    else:
        layers = [layer for layer in model.layers if layer.weights]
        filled = [arrays for arrays in saved.values() if arrays]
        if len(layers) != len(filled):
            raise SavingError(
                f"{name} has {len(filled)} layers with weights, the model has {len(layers)}: it "
                "belongs to another architecture. With by_name=True layers of equal name are "
                "loaded."
            )
        pairs = list(zip(layers, filled, strict=True))
    for layer, arrays in pairs:
        _assign(_in_legacy_order(layer), arrays, f"layer {layer.name!r}", name, skip_mismatch)
    top = child_group(group, _TOP)
    if top is not None:
        _assign(_top_level(model), _arrays(top, name), "the model itself", name, skip_mismatch)


def _assign(
    variables: list[Any], arrays: list[np.ndarray], owner: str, name: str, skip_mismatch: bool
) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    found = [array.shape for array in arrays]
    if shapes != found:
        message = f"{name}: {owner} has weights of shapes {shapes}, the file has {found}."
        if not skip_mismatch:
            raise SavingError(message)
        warnings.warn(f"{message} They keep their values.", stacklevel=4)
        return
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _compile(model: Any, training: dict[str, Any]) -> None:
    config = dict(training)
    optimizer = config.pop("optimizer_config", None)
    if not isinstance(optimizer, dict):
        return
    kinds = {"loss": ("loss",), "metrics": ("metric",), "weighted_metrics": ("metric",)}
    full = {key: _long_objects(value, kinds.get(key, ())) for key, value in config.items()}
    full["optimizer"] = _long_objects(optimizer, ("optimizer",))
    model.compile_from_config(full)


def _long_objects(config: Any, kinds: Sequence[str]) -> Any:
    if isinstance(config, list):
        return [_long_objects(item, kinds) for item in config]
    if not isinstance(config, dict):
        return config
    if isinstance(config.get("class_name"), str) and "config" in config:
        return {**_located(config["class_name"], kinds), **config}
    return {key: _long_objects(value, kinds) for key, value in config.items()}


def _read_optimizer(h5: Any, model: Any) -> None:
    group = child_group(h5, "optimizer_weights")
    optimizer = getattr(model, "optimizer", None)
    if group is None or optimizer is None:
        return
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    arrays = _arrays(group, "the file")
    shapes = [tuple(variable.shape) for variable in optimizer.variables]
    if shapes != [array.shape for array in arrays]:
        warnings.warn(
            f"The state of the optimizer {optimizer.name!r} in the file does not fit: it begins "
            "anew.",
            stacklevel=4,
        )
        return
    for variable, array in zip(optimizer.variables, arrays, strict=True):
        variable.assign(array)
