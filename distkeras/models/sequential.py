"""`Sequential`: layers one after another."""

from typing import Any

from distkeras.errors import ArgumentError, NotBuiltError, ShapeError
from distkeras.layers.call_context import name_scope
from distkeras.layers.core.input_layer import InputLayer
from distkeras.layers.layer import Layer
from distkeras.models.functional import Functional
from distkeras.models.model import Model
from distkeras.ops.symbolic import KerasTensor
from distkeras.training.trainer import Trainer

__all__ = ["Sequential"]


class Sequential(Model):
    """A model of layers, each of which takes the previous one's output.

    Without an `Input` (or `input_shape` of the first layer) the weights are created when the first
    data come.

    Args:
        layers: a list of layers.
        trainable: whether optimizers may change the weights.
        name: a name.

    Example:
        >>> import distkeras as keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.output_shape
        (None, 2)
    """

    _functional: Any  # the graph, as soon as the input's shape is known

    def __new__(cls, *args, **kwargs):
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, layers=None, trainable=True, name=None):
        Trainer.__init__(self)
        Layer.__init__(self, trainable=trainable, name=name)
        object.__setattr__(self, "_functional", None)
        if layers is not None and not isinstance(layers, list | tuple):
            raise ArgumentError(
                f"`layers` of a Sequential model must be a list of layers. Received: {layers!r}"
            )
        for layer in layers or []:
            self.add(layer, rebuild=False)
        self._try_to_build()

    # --- layers ---

    def add(self, layer, rebuild: bool = True) -> None:
        """Append a layer.

        Args:
            layer: a layer, or the `KerasTensor` of an `Input` at the beginning.
        """
        if isinstance(layer, KerasTensor) and isinstance(
            layer._keras_history.operation, InputLayer
        ):
            layer = layer._keras_history.operation
        if not isinstance(layer, Layer):
            if callable(layer) and not isinstance(layer, type):
                from distkeras.layers import Lambda

                layer = Lambda(layer)
            else:
                raise ArgumentError(
                    "Only instances of `keras.Layer` can be added to a Sequential model. "
                    f"Received: {layer} (of type {type(layer)})"
                )
        if layer is self or self in layer._flatten_layers():
            raise ArgumentError(
                f"The model '{self.name}' cannot be a layer of itself. Received: {layer!r}"
            )
        if any(layer.name == known.name for known in self._layers):
            raise ArgumentError(
                "All layers added to a Sequential model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this "
                "model. Update the `name` argument to pass a unique name."
            )
        shape = getattr(layer, "_input_shape_arg", None)
        if not self._layers and shape is not None and not isinstance(layer, InputLayer):
            self._layers.append(
                InputLayer(
                    batch_shape=shape,
                    dtype=layer.input_dtype if not _wants_ints(layer) else "int32",
                )
            )
        if isinstance(layer, InputLayer) and self._layers:
            raise ArgumentError("An `Input` can only be the first layer of a Sequential model.")
        self._layers.append(layer)
        self._container_changed()
        if rebuild:
            self._try_to_build()

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and answer it."""
        if not self.layers:
            raise ArgumentError("There are no layers in the model.")
        layer = self._layers.pop()
        object.__setattr__(self, "_functional", None)
        self.built = False
        if rebuild:
            self._try_to_build()
        return layer

    def _try_to_build(self) -> None:
        """Build at once where the input's shape is known."""
        if not self._layers:
            return
        first = self._layers[0]
        shape = getattr(first, "batch_shape", None) or getattr(first, "input_shape", None)
        # A model at the beginning says what it takes, where that is one tensor.
        if isinstance(shape, tuple) and all(d is None or isinstance(d, int) for d in shape):
            self.built = False
            self.build(shape)

    @property
    def layers(self):
        found = list(self._layers)
        return found[1:] if found and isinstance(found[0], InputLayer) else found

    # --- building and computing ---

    def build(self, input_shape=None):
        """Create the weights for inputs of a shape.

        Args:
            input_shape: a shape with `None` for unknown sizes.
        """
        if not self._layers:
            raise ArgumentError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call "
                "`model.add(layer)`."
            )
        if input_shape is None:
            raise NotBuiltError("You must provide an `input_shape` argument.")
        if not isinstance(input_shape, list | tuple):
            raise ArgumentError(
                "`input_shape` must be a tuple of sizes, the batch axis first, such as (None, 4). "
                f"Received: input_shape={input_shape!r}"
            )
        if isinstance(self._layers[0], InputLayer):
            if self._layers[0].batch_shape != tuple(input_shape):
                raise ShapeError(
                    f"Sequential model '{self.name}' has already been configured to use input "
                    f"shape {self._layers[0].batch_shape}. You cannot "
                    f"build it with input_shape {tuple(input_shape)}"
                )
        else:
            first = self._layers[0]
            dtype = "int32" if _wants_ints(first) else first.compute_dtype
            if isinstance(first, Model) and (taken := getattr(first, "inputs", None)):
                dtype = taken[0].dtype
            self._layers.insert(0, InputLayer(batch_shape=tuple(input_shape), dtype=dtype))
        inputs = self._layers[0].output
        with name_scope(self):
            x = self._chained(inputs)
        if x is None:
            return  # a layer whose output shape cannot be told without data
        object.__setattr__(self, "_functional", Functional(inputs, x, name=self.name))
        self.built = True

    def _chained(self, x):
        """The last layer's symbolic output, or `None` where a layer cannot tell it without data."""
        for layer in self._layers[1:]:
            try:
                x = layer(x)
            except NotImplementedError:
                return None
            except TypeError as error:
                if "positional argument" in str(error) and len(layer._call_signature.names) > 1:
                    raise ArgumentError(
                        "Layers added to a Sequential model can only have a single positional "
                        "argument, the input tensor. Layer "
                        f"{type(layer).__name__} has multiple positional arguments: "
                        f"{layer._call_signature.names}"
                    ) from error
                raise
        return x

    def _build_for(self, current, named):
        first = next(iter(named.values()))
        if not hasattr(first, "shape"):
            raise ArgumentError(
                f"A Sequential model takes one tensor, got {type(first).__qualname__}."
            )
        if not (self._layers and isinstance(self._layers[0], InputLayer)):
            self.build((None, *first.shape[1:]))
        else:
            self.build(self._layers[0].batch_shape)

    def build_from_config(self, config):
        if config and "input_shape" in config and not self.built:
            self.build(tuple(config["input_shape"]))

    def get_build_config(self):
        first = self._layers[0] if self._layers else None
        return {"input_shape": first.batch_shape} if isinstance(first, InputLayer) else None

    def call(self, inputs, training=None, mask=None, **kwargs):
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask, **kwargs)
        for layer in self.layers:
            takes = layer._call_signature.takes
            given = {"training": training, "mask": mask}
            inputs = layer(inputs, **{k: v for k, v in given.items() if v is not None and takes(k)})
            mask = None  # from here on the tensors carry their own
        return inputs

    def compute_output_spec(self, inputs, training=None, mask=None, **kwargs):
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs, training=training, mask=mask)
        for layer in self.layers:
            inputs = layer.compute_output_spec(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        """The shape of the output for an input shape."""
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def _needs(self, attribute):
        if self._functional is None:
            raise AttributeError(f"Sequential model '{self.name}' has no defined {attribute} yet.")
        return getattr(self._functional, attribute)

    @property
    def input(self):
        return self._needs("input")

    @property
    def output(self):
        return self._needs("output")

    @property
    def inputs(self):
        """The input tensors."""
        return self._needs("inputs")

    @property
    def outputs(self):
        """The output tensors."""
        return self._needs("outputs")

    @property
    def input_shape(self):
        """The input's shape."""
        return self._needs("input_shape")

    @property
    def output_shape(self):
        """The output's shape."""
        return self._needs("output_shape")

    @property
    def output_names(self):
        """The names of the outputs."""
        return self._functional.output_names if self._functional is not None else None

    # --- configuration ---

    def get_config(self) -> dict:
        from distkeras import dtype_policies
        from distkeras.saving.serialization import serialize_keras_object

        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self.dtype_policy),
            "layers": [serialize_keras_object(layer) for layer in self._layers],
        }
        if self._functional is not None:
            config["build_input_shape"] = self._layers[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from distkeras.saving.serialization import deserialize_keras_object

        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        for layer in config["layers"]:
            model.add(deserialize_keras_object(layer, custom_objects=custom_objects), rebuild=False)
        model._try_to_build()
        shape = config.get("build_input_shape")
        if not model.built and shape:
            model.build(tuple(shape))
        return model


def _wants_ints(layer) -> bool:
    return type(layer).__name__ == "Embedding"
