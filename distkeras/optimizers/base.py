"""`BaseOptimizer`: what an optimizer is told and remembers; `Optimizer` adds what it does."""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from distkeras import config as settings
from distkeras import ops
from distkeras.engine.tensor import Tensor
from distkeras.engine.variable import Variable
from distkeras.errors import (
    ArgumentError,
    NotBuiltError,
    NotInitializedError,
    NotSettableError,
    ShapeError,
)
from distkeras.optimizers.schedules.schedule import Formula, LearningRateSchedule
from distkeras.utils.naming import auto_name, to_snake_case
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["BaseOptimizer", "HostNumber", "slot_name"]

_NUMBERS = {"zeros": 0, "ones": 1}


def slot_name(variable: Variable, name: str) -> str:
    """The name of an optimizer's variable that belongs to one of the model."""
    return f"{variable.path.replace('/', '_')}_{name}"


class HostNumber:
    """The number in a variable without axes, read from the device only after it was assigned."""

    __slots__ = ("_value", "_version", "variable")

    def __init__(self, variable: Variable):
        self.variable = variable
        self._version = -1
        self._value: Any = None

    def get(self) -> Any:
        """The value, a Python number."""
        cell = self.variable.handle
        if cell.version != self._version:
            self._value, self._version = self.variable.numpy().item(), cell.version
        return self._value

    def set(self, value: Any) -> None:
        """Replace the value; it is remembered as the variable's dtype can hold it."""
        cell = self.variable.handle
        cell.fill(value)
        if isinstance(value, int):
            self._value, self._version = value, cell.version


class BaseOptimizer:
    """Arguments, variables, learning rate and files of an optimizer."""

    _variables: list[Variable]

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        object.__setattr__(self, "_variables", [])
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                "Argument `decay` is no longer supported and will be ignored.", stacklevel=2
            )
        if kwargs:
            raise ArgumentError(f"Argument(s) not recognized: {kwargs}")
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_arguments()
        self.built = False
        self._kept_from_decay: tuple[list[Variable], re.Pattern | None] = ([], None)
        self._iterations = self.add_variable((), 0, "int32", "only_first_replica", name="iteration")
        self._step = HostNumber(self._iterations)
        self._learning_rate: Any = None
        self._rate: Callable[[], float] = float
        self._set_learning_rate(learning_rate)

    def _check_arguments(self) -> None:
        steps, frequency = self.gradient_accumulation_steps, self.ema_overwrite_frequency
        if steps and not steps >= 2:
            raise ArgumentError(
                "`gradient_accumulation_steps` must be an integer >= 2. "
                f"Received: gradient_accumulation_steps={steps}"
            )
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise ArgumentError(
                "`ema_momentum` must be in the range [0, 1]. "
                f"Received: ema_momentum={self.ema_momentum}"
            )
        if self.use_ema and frequency and (not isinstance(frequency, int) or frequency < 1):
            raise ArgumentError(
                "`ema_overwrite_frequency` must be an integer >= 1 or None. "
                f"Received: ema_overwrite_frequency={frequency}"
            )
        clips = (self.clipnorm, self.clipvalue, self.global_clipnorm)
        if sum(c is not None for c in clips) > 1:
            raise ArgumentError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={self.clipnorm}, clipvalue={self.clipvalue}, "
                f"global_clipnorm={self.global_clipnorm}"
            )
        if any(c is not None and not c > 0 for c in clips):
            raise ArgumentError(
                "`clipnorm`, `clipvalue` and `global_clipnorm` must be positive numbers or None. "
                f"Received: clipnorm={self.clipnorm}, clipvalue={self.clipvalue}, "
                f"global_clipnorm={self.global_clipnorm}"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if "_variables" not in self.__dict__:
            raise NotInitializedError(
                f"In optimizer '{type(self).__name__}', you forgot to call `super().__init__()` "
                "as the first statement in the `__init__()` method. Go add it!"
            )
        if isinstance(value, Variable):
            self._track(value)
        object.__setattr__(self, name, value)

    def _track(self, variable: Variable) -> Variable:
        if all(v is not variable for v in self._variables):
            self._variables.append(variable)
        return variable

    # --- variables ---

    @property
    def variables(self) -> list[Variable]:
        """Everything that is saved: the step, the learning rate, and slots, in Keras's order."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates there were: a variable, or a tensor where gradients are accumulated."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the optimizer, which is saved with it.

        Args:
            shape: the shape.
            initializer: an initializer, its name, or a number.
            dtype: a dtype name, default `floatx()`.
            aggregation: how values of several ranks are joined.
            layout: accepted for Keras's sake.
            name: the variable's name.
        """
        if isinstance(initializer, str):
            initializer = _NUMBERS.get(initializer, initializer)
        if isinstance(initializer, int | float):
            value = ops.full(shape, initializer, dtype or settings.floatx())
            variable = Variable(value, trainable=False, aggregation=aggregation, name=name)
        else:
            from distkeras import initializers

            variable = Variable(
                initializers.get(initializer), shape, dtype, False, True, aggregation, name=name
            )
        variable.path = f"{self.name}/{variable.name}"
        return self._track(variable)

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A new variable of the shape and dtype of a model's variable.

        Args:
            reference_variable: the model's variable.
            name: what it is, default `"var"`; the variable's path comes before it.
            initializer: as in `add_variable`.
        """
        return self.add_variable(
            reference_variable.shape,
            initializer,
            reference_variable.dtype,
            name=slot_name(reference_variable, name or "var"),
        )

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """New variables like those of a model: a list, or one list for each of several names.

        Args:
            trainable_variables: the model's variables.
            name: what they are, or several names.
            initializer: one, or one for each name.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, list | tuple)
        initial = list(initializer) if several else [initializer] * len(names)
        if len(initial) != len(names):
            raise ArgumentError(
                "The number of provided names must match the number of provided initializers. "
                f"Received name='{name}', initializer='{initializer}'"
            )
        made: tuple[list, ...] = tuple([] for _ in names)
        for v in trainable_variables:
            for found, n, first in zip(made, names, initial, strict=True):
                replaced = v.overwrite_with_gradient
                found.append(None if replaced else self.add_variable_from_reference(v, n, first))
        return made[0] if isinstance(name, str) else made

    # --- learning rate ---

    @property
    def learning_rate(self) -> Any:
        """The current rate: a variable where it was given as a float, else a tensor or number.

        It can be assigned, unless the optimizer was made with a schedule.
        """
        rate = self._learning_rate
        if isinstance(rate, Formula):
            return ops.convert_to_tensor(rate(self._step.get()), "float32")
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate if isinstance(rate, Variable) else rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        old = self._learning_rate
        if isinstance(value, LearningRateSchedule) or (
            callable(value) and not isinstance(value, Variable | Tensor)
        ):
            self._set_learning_rate(value)
            self._variables[:] = [v for v in self._variables if v is not old]
        elif isinstance(old, Variable):
            old.assign(value)
        else:
            raise NotSettableError(
                "This optimizer was created with a `LearningRateSchedule` object or a callable as "
                "its `learning_rate` constructor argument, hence its learning rate is not "
                "settable. If you need the learning rate to be settable, you should instantiate "
                "the optimizer with a float `learning_rate` argument."
            )

    def _set_learning_rate(self, rate: Any) -> None:
        if isinstance(rate, Formula):
            self._rate = lambda: rate(self._step.get())
        elif isinstance(rate, LearningRateSchedule):
            self._rate = lambda: float(rate(self._iterations))
        elif callable(rate):
            self._rate = lambda: float(rate())
        elif isinstance(rate, float):
            dtype = settings.floatx()
            rate = self.add_variable((), rate, dtype, "only_first_replica", name="learning_rate")
            self._rate = HostNumber(rate).get
        else:
            raise ArgumentError(
                "Argument `learning_rate` should be float, or an instance of "
                "LearningRateSchedule, or a callable (that takes in the current iteration value "
                "and returns the corresponding learning rate value). Received instead: "
                f"learning_rate={rate}"
            )
        self._learning_rate = rate

    # --- weight decay, loss scale ---

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Name the variables that weight decay leaves alone.

        Args:
            var_list: variables.
            var_names: patterns that are sought in the variables' names, such as `"bias"`.
        """
        names = list(var_names or ())
        pattern = re.compile("|".join(names)) if names else None
        self._kept_from_decay = (list(var_list or ()), pattern)

    def _use_weight_decay(self, variable: Variable) -> bool:
        variables, pattern = self._kept_from_decay
        if any(v is variable for v in variables):
            return False
        return pattern is None or pattern.search(variable.name) is None

    def scale_loss(self, loss: Any) -> Any:
        """The loss to differentiate: multiplied by `loss_scale_factor`, where there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # --- configuration and files ---

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            rate = float(rate)
        else:
            rate = serialize_keras_object(rate)
        return {"name": self.name, "learning_rate": rate} | {
            name: getattr(self, name) for name in _ARGUMENTS
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "BaseOptimizer":
        """The optimizer of a configuration.

        Args:
            config: what `get_config` answered.
            custom_objects: name -> class, for a schedule that is not registered.
        """
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            rate = deserialize_keras_object(rate, custom_objects=custom_objects)
            config = config | {"learning_rate": rate}
        return cls(**config)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all variables, in the order of `variables`.

        Args:
            weights: arrays of the variables' shapes.
        """
        if not self.built:
            raise NotBuiltError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. "
                "Please call `optimizer.build(trainable_variables)` to create the optimizer "
                "weights before calling `set_weights()`."
            )
        weights = [ops.convert_to_tensor(w) for w in weights]
        variables = self.variables
        if len(weights) != len(variables):
            raise ArgumentError(
                f"The optimizer {self.name!r} has {len(variables)} variables; "
                f"{len(weights)} weights were given."
            )
        for v, w in zip(variables, weights, strict=True):
            if v.shape != w.shape:
                raise ShapeError(
                    f"Optimizer variable {v.path} has shape {v.shape} not compatible with "
                    f"provided weight shape {w.shape}."
                )
        for v, w in zip(variables, weights, strict=True):
            v.assign(w)

    def __reduce__(self):
        values = [v.numpy() for v in self.variables] if self.built else None
        return _rebuilt, (type(self), self.get_config(), self._trainable_variables, values)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write all variables into a mapping, under `"0"`, `"1"`, ...

        Args:
            store: takes NumPy arrays.
        """
        for i, v in enumerate(self.variables):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Set all variables from a mapping; warns and does nothing where their number differs.

        Args:
            store: what `save_own_variables` wrote.
        """
        variables = self.variables
        if len(store.keys()) != len(variables):
            hint = ""
            if not self.built:
                hint = " The optimizer was not built yet: call `optimizer.build(variables)` first."
            warnings.warn(
                f"Skipping variable loading for optimizer '{self.name}', because it has "
                f"{len(variables)} variables whereas the saved optimizer has "
                f"{len(store.keys())} variables.{hint}",
                stacklevel=2,
            )
            return
        values = [store[str(i)] for i in range(len(variables))]
        for v, value in zip(variables, values, strict=True):
            if tuple(value.shape) != v.shape:
                raise ShapeError(
                    f"The optimizer's variable {v.path} has shape {v.shape}, the saved one has "
                    f"shape {tuple(value.shape)}: the file is of another model."
                )
        for v, value in zip(variables, values, strict=True):
            v.assign(value)


def _rebuilt(cls, config: dict[str, Any], variables: list[Variable], values: list | None):
    """A copied or unpickled optimizer: its slots are made again, on the copied variables."""
    optimizer = cls.from_config(config)
    if values is not None:
        optimizer.build(variables)
        optimizer.set_weights(values)
    return optimizer


_ARGUMENTS = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
