"""A layer's state: what its attributes hold, its weights, losses and metrics."""

import functools
import warnings
from typing import Any

from distkeras import constraints, initializers, regularizers
from distkeras.engine.context import state as engine_state
from distkeras.engine.dtypes import standardize_dtype
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, NotBuiltError, NotInitializedError, ShapeError
from distkeras.layers.tracking import tracked
from distkeras.metrics.metric import Metric
from distkeras.ops import convert_to_numpy
from distkeras.random.seed_generator import SeedGenerator
from distkeras.utils import tree

__all__ = ["LayerState"]

_STORES = (
    "_trainable_variables",
    "_non_trainable_variables",
    "_layers",
    "_metrics",
    "_seed_generators",
)
_CONTAINERS = ("list", "dict", "tuple", "TrackedList", "TrackedDict")


class LayerState:
    """The part of `Layer` that holds state: every attribute that is set passes through it."""

    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]
    _layers: list[Any]
    _metrics: list[Metric]
    _seed_generators: list[SeedGenerator]
    _losses: list
    _locked: bool
    _structure_version: int
    _trainable: bool
    _path: str
    _init_args: tuple[tuple, dict]
    _initialized: bool = False
    _made_within: str | None = None  # the layer within whose call this one was made
    name: str
    built: bool
    dtype_policy: Any

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls)
        set_plain = functools.partial(object.__setattr__, layer)
        for name in _STORES:
            set_plain(name, [])
        set_plain("_locked", False)
        set_plain("_structure_version", 0)
        set_plain("_init_args", (args, kwargs))
        return layer

    def _check_initialized(self) -> None:
        if not self._initialized:
            raise NotInitializedError(
                f"In layer '{type(self).__name__}', you forgot to call `super().__init__()` as the "
                "first statement in the `__init__()` method. Go add it!"
            )

    def __setattr__(self, name, value):
        previous = self.__dict__.get(name)
        if previous is not None and previous is not value:
            self._forget(previous)
        value = self._track(value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        self._forget(self.__dict__.get(name))
        object.__delattr__(self, name)

    def _track(self, value):
        """Note a variable, layer, metric or seed generator; wrap containers so that later additions
        are noted too."""
        if isinstance(value, str | int | float | bool | type(None)):
            return value
        for kind, names in self._tracked_kinds(value):
            if isinstance(value, kind):
                store = getattr(self, names)
                if not any(value is known for known in store):
                    self._check_unlocked(value)
                    store.append(value)
                    object.__setattr__(self, "_structure_version", self._structure_version + 1)
                return value
        if isinstance(value, list | dict | tuple) and type(value).__name__ in _CONTAINERS:
            return tracked(value, self._track, self._container_changed)
        return value

    @staticmethod
    def _tracked_kinds(value):
        trainable = isinstance(value, Variable) and value.trainable
        return (
            (Variable, "_trainable_variables" if trainable else "_non_trainable_variables"),
            (Metric, "_metrics"),
            (LayerState, "_layers"),
            (SeedGenerator, "_seed_generators"),
        )

    def _check_unlocked(self, value):
        if self._locked and isinstance(value, Variable):
            raise ArgumentError(
                "You cannot add new elements of state (variables or sub-layers) to a layer that is "
                "already built. All state must "
                "be created in the `__init__()` method or in the `build()` method. The layer is "
                f"'{self.name}'."
            )

    def _container_changed(self):
        object.__setattr__(self, "_structure_version", self._structure_version + 1)

    def _forget(self, value):
        for name in _STORES:
            store = getattr(self, name)
            for i, known in enumerate(store):
                if known is value:
                    del store[i]
                    object.__setattr__(self, "_structure_version", self._structure_version + 1)
                    return

    # --- weights ---

    def add_weight(
        self,
        shape=None,
        initializer=None,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        aggregation="none",
        overwrite_with_gradient=False,
        name=None,
    ) -> Variable:
        """Create a variable of this layer.

        Args:
            shape: a tuple of ints, default `()`.
            initializer: a name, initializer or callable; default Glorot uniform for floats, zeros
                for integers.
            dtype: a dtype name, default the policy's variable dtype.
            trainable: whether optimizers may change it.
            autocast: whether it is cast to the compute dtype when read in `call`.
            regularizer: adds its value to the loss.
            constraint: applied after each update.
            aggregation: how values of several ranks are joined.
            overwrite_with_gradient: accepted for Keras's sake.
            name: a name, unique within the layer.

        Returns:
            The `Variable`.
        """
        self._check_initialized()
        self._check_made_outside()
        shape = self._weight_shape(shape, name)
        dtype = self.variable_dtype if dtype is None else standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        variable = Variable(
            initializers.get(initializer),
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.path}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._track(variable)
        variable.trainable = trainable and self._trainable  # of a layer frozen before it was built
        return variable

    add_variable = add_weight

    def _weight_shape(self, shape, name) -> tuple[int, ...]:
        shape = () if shape is None else shape
        if not isinstance(shape, tuple | list) or not all(
            isinstance(d, int) and not isinstance(d, bool) and d >= 0 for d in shape
        ):
            raise ShapeError(
                "The shape of a weight must be a tuple of sizes that are all known (no `None`). "
                f"Received: shape={shape!r} for the weight {name or ''!r} of the layer "
                f"'{self.name}' ({type(self).__name__}). Where it follows from the input's shape, "
                "give `Input` that size."
            )
        return tuple(shape)

    def _check_made_outside(self) -> None:
        if self._made_within is not None:
            warnings.warn(
                f"A layer of the class {type(self).__name__} was made within the call of "
                f"'{self._made_within}': its weights are new whenever it is made, and no optimizer "
                "trains them. Make it in `__init__()` or `build()` and keep it as an attribute.",
                stacklevel=2,
            )

    @property
    def path(self) -> str:
        """The names of the layers that the layer was built in, joined by `/`."""
        return self._path

    @property
    def trainable(self) -> bool:
        """Whether optimizers may change the weights of this layer and those within."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        object.__setattr__(self, "_trainable", bool(value))
        for v in self._trainable_variables:
            v.trainable = bool(value)
        for layer in self._layers:
            layer.trainable = bool(value)
        self._container_changed()

    def _flatten_layers(self, include_self=True, recursive=True) -> list[Any]:
        """This layer and those within, each once, depth first."""
        found: list[Any] = []
        seen: set[int] = set()

        def visit(layer, depth):
            if id(layer) in seen:
                return
            seen.add(id(layer))
            if depth or include_self:
                found.append(layer)
            if recursive or depth == 0:
                for inner in layer._layers:
                    visit(inner, depth + 1)

        visit(self, 0)
        return found

    def _collect(self, *names) -> list[Variable]:
        """Variables in the named stores of this layer and those within, each once."""
        found, seen = [], set()
        for layer in self._flatten_layers():
            for name in names:
                for v in getattr(layer, name):
                    if id(v) not in seen:
                        seen.add(id(v))
                        found.append(v)
        return found

    @property
    def variables(self) -> list[Variable]:
        """All variables: weights, and the states of seed generators and metrics."""
        found = self._collect("_trainable_variables", "_non_trainable_variables")
        known = {id(v) for v in found}
        for layer in self._flatten_layers():
            extra = [g.state for g in layer._seed_generators]
            extra += [v for m in layer._metrics for v in m.variables]
            for v in extra:
                if id(v) not in known:
                    known.add(id(v))
                    found.append(v)
        return found

    @property
    def weights(self) -> list[Variable]:
        """The variables that training or inference needs: those of metrics and seed generators are
        left out."""
        return self._collect("_trainable_variables", "_non_trainable_variables")

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that optimizers may change."""
        if not self.trainable:
            return []
        return [v for v in self._collect("_trainable_variables") if v.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trainable]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that optimizers may change."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.weights if id(v) not in trainable]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of this layer and those within."""
        found: list[Metric] = []
        for layer in self._flatten_layers():
            found += [m for m in layer._metrics if not any(m is k for k in found)]
        return found

    def get_weights(self) -> list:
        """The weights' values, new NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights) -> None:
        """Set the weights from arrays in the order of `get_weights()`.

        Raises:
            ShapeError: where the number of arrays or a shape differs; nothing is changed then.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ShapeError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(weights)}, but the layer "
                f"was expecting {len(own)} weights."
            )
        arrays = [convert_to_numpy(w) for w in weights]
        for v, a in zip(own, arrays, strict=True):
            if tuple(a.shape) != v.shape:
                raise ShapeError(
                    f"Layer {self.name} weight shape {v.shape} is not compatible with provided "
                    f"weight shape {a.shape} (for {v.path})."
                )
        for v, a in zip(own, arrays, strict=True):
            v.assign(a)

    def count_params(self) -> int:
        """The number of scalars in the weights.

        Raises:
            NotBuiltError: before the layer was built.
        """
        if not self.built:
            raise NotBuiltError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                "built. You can build it manually via: "
                "`layer.build(input_shape)`."
            )
        return sum(v.size for v in self.weights)

    # --- dtypes ---

    @property
    def compute_dtype(self) -> str:
        """The dtype of computations and outputs."""
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of weights."""
        return self.dtype_policy.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype to which float inputs are cast."""
        return self.dtype_policy.compute_dtype

    @property
    def dtype(self) -> str:
        """The dtype of weights."""
        return self.dtype_policy.variable_dtype

    # --- losses ---

    def add_loss(self, loss) -> None:
        """Add a scalar, or a list of them, to the loss of the training step in progress; call it
        within `call`."""
        if engine_state().abstract:
            return  # only shapes are asked for, which are no loss
        for value in tree.flatten(loss):
            self._losses.append(value)

    @property
    def losses(self) -> list:
        """Scalars added by `add_loss` in the last call, and the regularization of weights."""
        found = []
        for layer in self._flatten_layers():
            found.extend(layer._losses)
        return found + self._regularization_losses()

    def _regularization_losses(self) -> list:
        return [
            v.regularizer(v.value) for v in self.trainable_variables if v.regularizer is not None
        ]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

    # --- files ---

    def save_own_variables(self, store) -> None:
        """Write this layer's own variables into a mapping of arrays (a group of an HDF5 file)."""
        for i, v in enumerate(self._trainable_variables + self._non_trainable_variables):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store) -> None:
        """Read this layer's own variables from a mapping of arrays.

        Raises:
            ShapeError: where the number or a shape differs.
        """
        own = self._trainable_variables + self._non_trainable_variables
        if len(store.keys()) != len(own):
            hint = (
                ""
                if self.built or own
                else " It was never built, so its variables do not exist yet."
            )
            raise ShapeError(
                f"Layer '{self.name}' expected {len(own)} variables, but received "
                f"{len(store.keys())} variables.{hint}"
            )
        for i, v in enumerate(own):
            v.assign(store[str(i)])
