"""`Model`: a layer that can be trained and saved."""

import inspect
from typing import Any

from distkeras.errors import (
    ArgumentError,
    DistkerasError,
    NotBuiltError,
    UnknownNameError,
    UnknownObjectError,
)
from distkeras.layers.building import default_build, is_default_build
from distkeras.layers.layer import Layer
from distkeras.ops.symbolic import KerasTensor
from distkeras.training.trainer import Trainer
from distkeras.utils import tree

__all__ = ["Model"]


class Model(Trainer, Layer):
    """A layer with `compile`, `fit`, `evaluate`, `predict`, `summary` and `save`.

    Three ways to make one: `Model(inputs, outputs)` from symbolic tensors, a subclass that makes
    its layers in `__init__` and computes in `call`, or `Sequential`.

    Args:
        inputs: a `KerasTensor` from `Input`, or a structure of them.
        outputs: a `KerasTensor` that follows from the inputs, or a structure of them.
        name: a name.

    Example:
        >>> import distkeras as keras
        >>> x = keras.Input((3,))
        >>> keras.Model(x, keras.layers.Dense(2)(x)).output_shape
        (None, 2)
    """

    def __new__(cls, *args, **kwargs):
        if cls is Model and _is_functional(args, kwargs):
            from distkeras.models.functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)

    def __init__(self, *args, **kwargs):
        from distkeras.models.functional import Functional

        Trainer.__init__(self)
        if _is_functional(args, kwargs) and not isinstance(self, Functional):
            # A subclass that hands inputs and outputs to `super().__init__` is a functional model
            # with methods of its own.
            _inject_functional(type(self))
            Functional.__init__(self, *args, **kwargs)
            return
        if args or "inputs" in kwargs or "outputs" in kwargs:
            given = [*args, *(kwargs[k] for k in ("inputs", "outputs") if k in kwargs)]
            raise ArgumentError(
                f"{type(self).__name__}(inputs, outputs) takes two: what `keras.Input` returned, "
                "and what layers returned that were called on it (KerasTensors, or lists or dicts "
                f"of them). Received: {', '.join(map(_shown, given))}"
            )
        Layer.__init__(self, *args, **kwargs)

    @property
    def layers(self) -> list[Layer]:
        """The layers directly within the model, in order."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """One of the layers.

        Args:
            name: its name.
            index: its place in `layers`.

        Raises:
            UnknownNameError: where there is no such layer.
        """
        if (name is None) == (index is None):
            raise ArgumentError(
                f"Provide either a layer name or a layer index. Received: index={index}, "
                f"name={name}."
            )
        if index is not None:
            if index >= len(self.layers):
                raise UnknownNameError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownNameError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}."
        )

    def call(self, *args, **kwargs):
        """The computation; subclasses override it."""
        raise NotImplementedError(
            f"Model {type(self).__name__} does not have a `call()` method implemented."
        )

    @default_build
    def build(self, input_shape=None):
        """Create the weights for inputs of a shape, by running `call` on shapes.

        Args:
            input_shape: a shape with `None` for unknown sizes, or a list or dict of shapes.
        """
        if self.built:
            return
        if input_shape is None:
            raise NotBuiltError(f"Model '{self.name}' needs an `input_shape` to be built.")
        from distkeras.engine.abstract import infer

        infer(
            lambda inputs: self._forward(inputs, training=False),
            _specs(input_shape, self.compute_dtype),
        )

    def build_from_config(self, config: dict) -> None:
        """Build as `get_build_config()` recorded it, by running `call` on shapes."""
        if not config or self.built or not is_default_build(type(self).build):
            super().build_from_config(config)
            return
        shapes = config.get("shapes_dict") or {"": config.get("input_shape")}
        given = {k.removesuffix("_shape"): _specs(s, self.compute_dtype) for k, s in shapes.items()}
        args = (given.pop(""),) if "" in given else ()
        from distkeras.engine.abstract import infer

        try:
            infer(self, *args, **given)
        except DistkerasError as error:
            raise NotBuiltError(
                f"The model '{self.name}' ({type(self).__name__}) cannot be built from the shapes "
                f"in its file, {shapes}: {error} Give the class a `build(input_shape)` that makes "
                "all weights; or make the model in your program, call it on data, and read the "
                "weights with `load_weights`."
            ) from error

    def _default_build(self, named):
        # The layers within build themselves in the call that follows.
        return

    def summary(
        self,
        line_length=None,
        positions=None,
        print_fn=None,
        expand_nested=False,
        show_trainable=False,
        layer_range=None,
    ) -> None:
        """Print the layers, output shapes and numbers of parameters.

        Args:
            line_length: width in characters.
            positions: ends of the columns, as shares of the width or in characters.
            print_fn: called with the text instead of `print`.
            expand_nested: whether to list the layers of models within.
            show_trainable: whether to say which layers are trainable.
            layer_range: the first and the last layer's name (regular expressions) to show.
        """
        from distkeras.utils.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            positions=positions,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )

    def save(self, filepath, overwrite: bool = True, zipped: bool | None = None, **kwargs) -> None:
        """Write the whole model: architecture, weights, and how it was compiled.

        Args:
            filepath: a path that ends in `.keras` (or `.h5`, the older format).
            overwrite: whether an existing file is replaced.
            zipped: accepted for Keras's sake.
        """
        from distkeras import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite: bool = True, max_shard_size=None) -> None:
        """Write the weights to a `.weights.h5` file."""
        from distkeras import saving

        saving.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath, skip_mismatch: bool = False, **kwargs) -> None:
        """Read the weights from a file that `save_weights` or `save` wrote."""
        from distkeras import saving

        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs) -> str:
        """The architecture as JSON text, for `models.model_from_json`."""
        from distkeras.models.json import to_json

        return to_json(self, **kwargs)

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        """A model made from `get_config()`'s result."""
        from distkeras.models.functional import Functional, functional_from_config

        is_graph = {"layers", "input_layers", "output_layers"} <= set(config)
        takes_graphs = issubclass(cls, Functional) or cls is Model or _takes_inputs_and_outputs(cls)
        if is_graph and takes_graphs:
            return functional_from_config(cls, config, custom_objects=custom_objects)
        try:
            return cls(**config)
        except TypeError as error:
            raise UnknownObjectError(
                f"The model {cls.__name__} cannot be made again from its configuration: {error}. "
                "Let `__init__` take `**kwargs` and hand them to `super().__init__()`, and let "
                "`get_config()` return all other arguments. "
                f"Received: config={config}"
            ) from error


def _takes_inputs_and_outputs(cls) -> bool:
    names = list(inspect.signature(cls.__init__).parameters)[1:]
    return names[:2] == ["inputs", "outputs"] or "args" in names


def _is_functional(args, kwargs) -> bool:
    """Whether the arguments of `Model(...)` are inputs and outputs."""
    given = (
        args
        if len(args) >= 2
        else (kwargs.get("inputs", args[0] if args else None), kwargs.get("outputs"))
    )
    if given[0] is None or given[1] is None:
        return False
    return any(isinstance(t, KerasTensor) for t in tree.flatten(given[1]))


def _inject_functional(cls) -> None:
    """Make a subclass of `Model` one of `Functional`."""
    from distkeras.models.functional import Functional

    if cls is Model or issubclass(cls, Functional):
        return
    bases = []
    for base in cls.__bases__:
        if base is Model:
            bases.append(Functional)
        else:
            if issubclass(base, Model):
                _inject_functional(base)
            bases.append(base)
    cls.__bases__ = tuple(bases)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]}... (of type {type(value).__name__})"


def _specs(shape: Any, dtype: str):
    from distkeras.engine.abstract import Spec

    if isinstance(shape, dict):
        return {k: _specs(s, dtype) for k, s in shape.items()}
    if isinstance(shape, list | tuple) and all(d is None or isinstance(d, int) for d in shape):
        return Spec(tuple(shape), dtype)
    return [_specs(s, dtype) for s in shape]
