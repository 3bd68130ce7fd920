"""`RNN`: a cell run over the steps of a sequence."""

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.distribution.batch import rows_of_all_ranks
from distkeras.engine import regions
from distkeras.engine.context import state as engine_state
from distkeras.engine.rows import everywhere
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.arguments import arguments_of
from distkeras.layers.layer import Layer
from distkeras.layers.recurrent.cell import Cell
from distkeras.layers.recurrent.stacked import StackedRNNCells, state_sizes
from distkeras.utils import tree
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["RNN"]


class RNN(Layer):
    """Runs a cell over the steps of sequences.

    Masked steps leave the states as they are and repeat the output before (zeros at the start).

    Args:
        cell: an object with `call(inputs, states) -> (output, states)` and `state_size`, an int or
            a
            list of them; or a list of such cells, which are stacked.
        return_sequences: whether the outputs of all steps are returned, default only the last.
        return_state: whether the last states are returned after the output, default `False`.
        go_backwards: whether steps are taken from the last to the first; outputs are in the order
            in which they were made. Default `False`.
        stateful: whether each batch starts with the states in which the one before ended; it needs
            a fixed batch size. Default `False`.
        unroll: accepted for Keras's sake; the numbers are the same.
        zero_output_for_mask: whether outputs of masked steps are zeros, default `False`.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Inputs:
        `(samples, steps, features...)`, optionally `mask`, truth values `(samples, steps)`, and
        `initial_state`, a tensor for each state.

    Returns:
        `(samples, units)`, or `(samples, steps, units)`; with `return_state` a tuple of that and
        the
        states.

    Raises:
        ArgumentError: where the cell lacks something.
        ShapeError: where the batch size of a stateful layer changes.

    Example:
        >>> from distkeras import layers, ops
        >>> RNN(layers.LSTMCell(3), return_sequences=True)(ops.zeros((2, 5, 4))).shape
        (2, 5, 3)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        for needed in ("call", "state_size"):
            if not hasattr(cell, needed):
                raise ArgumentError(
                    f"The `cell` of an RNN must have `{needed}`. Received: cell={cell!r}"
                )
        if not isinstance(cell.state_size, int | list | tuple):
            raise ArgumentError(
                "`state_size` of a cell must be an integer, or a list or tuple of integers. "
                "Received: "
                f"{cell.state_size!r}"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.single_state = isinstance(cell.state_size, int)
        self.states: Any
        # States between batches are no weights: neither tracked nor saved, as in Keras.
        object.__setattr__(self, "states", None)

    @property
    def state_size(self) -> list:
        """The size of each state."""
        return state_sizes(self.cell)

    def build(self, sequences_shape, initial_state_shape=None):
        if isinstance(self.cell, Layer) and not self.cell.built:
            object.__setattr__(self.cell, "_path", f"{self.path}/{self.cell.name}")
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            if self.states is not None:
                self.reset_state()
            elif sequences_shape[0] is None:
                raise ShapeError(
                    f"The layer '{self.name}' is stateful, so the batch size must be known: give "
                    f"`batch_size` to `Input`. Received: sequences_shape={sequences_shape}"
                )
            else:
                self._make_states(sequences_shape[0])

    def _make_states(self, batch_size: int) -> None:
        def variable(value):
            return Variable(value, trainable=False, dtype=self.variable_dtype, name="rnn_state")

        states = tree.map_structure(variable, self.get_initial_state(batch_size))
        object.__setattr__(self, "states", states)

    def get_initial_state(self, batch_size: int) -> list:
        """The states before the first step: what the cell says, or zeros."""
        make = getattr(self.cell, "get_initial_state", None)
        if make is not None:
            states = make(batch_size=batch_size)
            return list(states) if isinstance(states, list | tuple) else [states]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return [ops.zeros((batch_size, d), dtype=dtype) for d in self.state_size]

    def reset_state(self) -> None:
        """Let a stateful layer begin with zeros again."""
        for v in tree.flatten(self.states) if self.states is not None else ():
            v.assign(ops.zeros_like(v))

    def reset_states(self) -> None:
        """As `reset_state`."""
        self.reset_state()

    # --- the run ---

    def call(self, sequences, initial_state=None, mask=None, training=False):
        states = self._first_states(sequences, initial_state)
        output, states = self._run_cell(sequences, states, mask, training)
        output = ops.cast(output, self.compute_dtype)
        states = tree.map_structure(lambda s: ops.cast(s, self.compute_dtype), states)
        if self.stateful and not engine_state().abstract:
            for v, s in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                s = ops.stop_gradient(s)
                # On several ranks each keeps the states of all samples: they are part of the model.
                v.assign(s if type(s.batch) is not int else rows_of_all_ranks(s, s.batch))
        return (output, *states) if self.return_state else output

    def _first_states(self, sequences, given) -> list:
        if self.stateful:
            expected = tree.flatten(self.states)[0].shape[0]
            if everywhere(sequences.shape[0]) != expected and not engine_state().abstract:
                raise ShapeError(
                    "If an RNN is stateful, the batch size must stay the same. The layer "
                    f"'{self.name}' "
                    f"expects {expected} samples, got {sequences.shape[0]}."
                )
        if given is None:
            given = self._kept() if self.stateful else self.get_initial_state(sequences.shape[0])
        if not isinstance(given, list | tuple):
            given = [given]
        self._check_states(given)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(lambda s: ops.cast(s, dtype), list(given))

    def _kept(self) -> Any:
        """The states between batches, of this rank's samples."""
        step = engine_state()
        if step.own is None or not step.track_batch:
            return self.states
        return tree.map_structure(lambda v: step.own(ops.convert_to_tensor(v), 0), self.states)

    def _check_states(self, given) -> None:
        if len(given) != len(self.state_size) or any(
            isinstance(size, int) and tuple(getattr(t, "shape", (size,)))[-1:] != (size,)
            for t, size in zip(given, self.state_size, strict=True)
        ):
            raise ShapeError(
                f"`initial_state` of the layer '{self.name}' must be {len(self.state_size)} "
                f"tensor(s) of the sizes {self.state_size} for each sample, got the shapes "
                f"{[tuple(getattr(t, 'shape', ())) for t in tree.flatten(given)]}."
            )

    def _run_cell(self, sequences, states, mask, training):
        """The output, last or of all steps, and the last states."""
        steps = sequences.shape[1]
        xs, step = self._stepper(sequences, training)
        keep_all = self.return_sequences
        if mask is not None:
            mask = ops.cast(mask, "bool")
            if tuple(mask.shape[:2]) != tuple(sequences.shape[:2]):
                raise ShapeError(
                    f"The mask of the layer '{self.name}' must have a value for each step of each "
                    f"sample, the shape {tuple(sequences.shape[:2])}; got {tuple(mask.shape)}."
                )
            mask = ops.expand_dims(mask, -1) if mask.ndim == 2 else mask
        if steps == 0:
            return self._no_steps(sequences, states, keep_all)
        output = self._blank(sequences, states)

        def body(carry, row):
            before, last = carry
            x, kept = row
            out, after = step(x, before)
            after = list(after) if isinstance(after, list | tuple) else [after]
            if kept is not None:
                other = ops.zeros_like(out) if self.zero_output_for_mask else last
                out = ops.where(kept, out, other)
                after = tree.map_structure(
                    lambda new, old: ops.where(kept, new, old), after, list(before)
                )
            return (after, out), out if keep_all else None

        rows = (_time_first(xs), None if mask is None else _time_first(mask))
        (states, last), outputs = _scan(body, (states, output), rows, self.go_backwards)
        if not keep_all:
            return last, states
        if self.go_backwards:
            outputs = ops.flip(outputs, axis=0)
        return _time_first(outputs), states

    def _stepper(self, sequences, training):
        """What is walked over, and the step on a row of it: `(row, states) -> (output, states)`."""
        cell = self.cell
        whole = isinstance(cell, Cell | StackedRNNCells) and cell.dtype_policy == self.dtype_policy
        if whole and sequences.shape[1]:
            noise = cell.noise(sequences[:, 0], training)
            return cell.project(sequences, noise), lambda x, s: cell.step(x, s, noise)
        extra = {}
        if isinstance(cell, Layer) and cell._call_signature.takes("training"):
            extra["training"] = training
        call = cell if callable(cell) else cell.call
        return sequences, lambda x, s: call(x, s, **extra)

    def _output_size(self) -> int:
        size = getattr(self.cell, "output_size", None)
        return self.state_size[0] if size is None else size

    def _blank(self, sequences, states):
        """Zeros of the output's form, in the dtype of the states."""
        dtype = tree.flatten(states)[0].dtype
        return ops.zeros((sequences.shape[0], self._output_size()), dtype=dtype)

    def _no_steps(self, sequences, states, keep_all):
        blank = self._blank(sequences, states)
        if keep_all:
            blank = ops.zeros((sequences.shape[0], 0, self._output_size()), dtype=blank.dtype)
        return blank, states

    # --- form ---

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, steps = sequences_shape[:2]
        states = [
            (batch, s) if isinstance(s, int) else [(batch, d) for d in s] for s in self.state_size
        ]
        size = self._output_size()
        output = (batch, steps, size) if self.return_sequences else (batch, size)
        return (output, *states) if self.return_state else output

    def compute_mask(self, _, mask):
        """The mask of the steps, where all of them are returned."""
        mask = tree.flatten(mask)[0]
        own = mask if self.return_sequences else None
        return [own] + [None] * len(self.state_size) if self.return_state else own

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        names = "return_sequences return_state go_backwards stateful unroll zero_output_for_mask"
        config = {**super().get_config(), **arguments_of(self, names)}
        return {**config, "cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A layer made from `get_config()`'s result."""
        config = dict(config)
        cell = deserialize_keras_object(config.pop("cell"), custom_objects=custom_objects)
        return cls(cell, **config)


def _time_first(x):
    """Steps before samples, or back."""
    return ops.transpose(x, (1, 0, *range(2, x.ndim)))


def _scan(body, carry, rows: Sequence[Any], backwards: bool):
    """`regions.scan` over rows of which the second may be missing."""
    xs, mask = rows
    if mask is None:
        return regions.scan(lambda c, x: body(c, (x, None)), carry, xs, reverse=backwards)
    return regions.scan(body, carry, (xs, mask), reverse=backwards)
