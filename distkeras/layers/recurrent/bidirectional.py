"""`Bidirectional`: a recurrent layer forwards and one backwards."""

from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError
from distkeras.layers.layer import Layer
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Bidirectional"]

MERGE_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Layer):
    """Runs a recurrent layer over sequences in both directions and merges the outputs.

    Args:
        layer: a recurrent layer; copies of it, by its configuration, are used.
        merge_mode: `"concat"` (default), `"sum"`, `"mul"`, `"ave"`, or `None` for both outputs.
        weights: first values: those of the forward layer, then those of the backward layer.
        backward_layer: the layer for the other direction, default made from `layer`.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where the two layers do not fit together.

    Example:
        >>> from distkeras import layers, ops
        >>> Bidirectional(layers.LSTM(3))(ops.zeros((2, 5, 4))).shape
        (2, 6)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and not (value is None and name != "layer"):
                raise ArgumentError(
                    f"`{name}` of `Bidirectional` must be a `keras.layers.Layer`. Received: "
                    f"{value!r}"
                )
        if merge_mode not in MERGE_MODES:
            raise ArgumentError(
                f"Invalid merge mode. Received: {merge_mode}. Merge mode should be one of "
                f"{MERGE_MODES}"
            )
        if not all(hasattr(layer, name) for name in ("go_backwards", "return_sequences")):
            raise ArgumentError(
                "Please initialize `Bidirectional` with a recurrent layer, such as LSTM, or "
                "one that has `go_backwards`, `return_sequences`, `return_state` and `stateful`. "
                f"Received: layer={layer!r}"
            )
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward_")
        if backward_layer is None:
            backward_layer = _copy(layer, "backward_", go_backwards=True)
        self.backward_layer = backward_layer
        self._check_layers()
        for part in (self.forward_layer, self.backward_layer):
            # Repeated outputs would stand at the wrong end after the backward ones are turned
            # round.
            if hasattr(part, "zero_output_for_mask"):
                part.zero_output_for_mask = part.return_sequences
        self.merge_mode = merge_mode
        self._first_weights = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_layers(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ArgumentError(
                "Forward layer and backward layer should have different `go_backwards` value. "
                f"Received: {forward.go_backwards} for both."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, name), getattr(backward, name)
            if values[0] != values[1]:
                raise ArgumentError(
                    "Forward layer and backward layer are expected to have the same value for "
                    f"attribute '{name}', got {values[0]} and {values[1]}."
                )

    def build(self, sequences_shape, initial_state_shape=None):
        for part in (self.forward_layer, self.backward_layer):
            if not part.built:
                object.__setattr__(part, "_path", f"{self.path}/{part.name}")
                part.build(sequences_shape)
        if self._first_weights is not None:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])
            self._first_weights = None

    def call(self, sequences, initial_state=None, mask=None, training=None):
        states: list = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            states = [initial_state[:half], initial_state[half:]]
        results = []
        for part, state in zip((self.forward_layer, self.backward_layer), states, strict=True):
            takes = part._call_signature.takes
            extra = {"mask": mask} if takes("mask") else {}
            if takes("training"):
                extra["training"] = training
            results.append(part(sequences, initial_state=state, **extra))
        after: tuple = ()
        if self.return_state:
            after = tuple(results[0][1:]) + tuple(results[1][1:])
            results = [r[0] for r in results]
        y, reverse = (ops.cast(r, self.compute_dtype) for r in results)
        if self.return_sequences:
            reverse = ops.flip(reverse, axis=1)
        output = self._merged(y, reverse)
        if not self.return_state:
            return output
        return (*output, *after) if self.merge_mode is None else (output, *after)

    def _merged(self, y, reverse):
        if self.merge_mode == "concat":
            return ops.concatenate([y, reverse], axis=-1)
        if self.merge_mode == "sum":
            return ops.add(y, reverse)
        if self.merge_mode == "ave":
            return ops.divide(ops.add(y, reverse), 2)
        if self.merge_mode == "mul":
            return ops.multiply(y, reverse)
        return (y, reverse)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        found = self.forward_layer.compute_output_shape(sequences_shape)
        output, states = (found[0], tuple(found[1:])) if self.return_state else (found, ())
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        if self.merge_mode is None:
            return (output, output, *states, *states)
        return (output, *states, *states) if self.return_state else output

    def compute_mask(self, _, mask):
        """The mask of the steps, where all of them are returned."""
        mask = mask[0] if isinstance(mask, list) else mask
        own = mask if self.return_sequences else None
        output = [own, own] if self.merge_mode is None else [own]
        if self.return_state:
            output += [None] * (2 * len(self.forward_layer.state_size))
        return output if len(output) > 1 else own

    @property
    def states(self):
        """The states of a stateful layer, forward and backward, or `None`."""
        parts = [self.forward_layer.states, self.backward_layer.states]
        return None if None in parts else tuple(parts[0] + parts[1])

    def reset_state(self) -> None:
        """Let a stateful layer begin with zeros again.

        Raises:
            AttributeError: where it is not stateful.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """As `reset_state`."""
        self.reset_state()

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A layer made from `get_config()`'s result."""
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


def _copy(layer: Any, prefix: str, **changes: Any) -> Any:
    """A layer like another one, without its weights and states."""
    name = prefix + layer.name.removeprefix(prefix)
    return type(layer).from_config({**layer.get_config(), **changes, "name": name})
