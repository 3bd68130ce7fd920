"""`Metric`: state that sums up over batches, and over ranks.

Every state variable says by its `aggregation` how the ranks' values are joined: `"sum"` (the
default: totals and counts), `"mean"`, or `"none"` for what is no statistic of the data. A metric's
result is a function of its state alone, so the states of all metrics of a model are joined in one
collective (`training/global_metrics.py`), and every rank reports the same result.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distkeras import ops
from distkeras.distribution import denominators
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, NotInitializedError
from distkeras.losses.loss import compute_dtype
from distkeras.utils import tree
from distkeras.utils.naming import auto_name, to_snake_case

__all__ = ["Metric"]


def _zeros(shape, dtype=None):
    return ops.zeros(shape, dtype)


def _of_this_rank(update: Callable) -> Callable:
    """`update_state` that counts this rank's rows alone: ranks' states are added up later."""

    @functools.wraps(update)
    def wrapper(*args, **kwargs):
        if not denominators.active():
            return update(*args, **kwargs)
        with denominators.local():
            return update(*args, **kwargs)

    return wrapper


class Metric:
    """The base of metrics: subclasses add variables and define `update_state` and `result`.

    Args:
        dtype: of the computation, a name or dtype policy, default `floatx()`.
        name: default the class's name in snake case, with a number from the second on.

    Example:
        >>> from distkeras import ops
        >>> class Largest(Metric):
        ...     def __init__(self, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.count = self.add_weight(name="count")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.count.assign_add(len(y_pred))
        ...     def result(self):
        ...         return self.count.value
        >>> float(Largest()([0.0], [1.0, 2.0]))
        2.0
    """

    # "up" or "down" where more is known to be better or worse; callbacks with mode "auto" ask.
    _direction: str | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "update_state" in cls.__dict__:
            cls.update_state = _of_this_rank(cls.__dict__["update_state"])

    def __init__(self, dtype: Any = None, name: str | None = None):
        self._tracked_variables: list[Variable] = []
        self._tracked_metrics: list[Metric] = []
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """The dtype in which the metric is computed."""
        return self._dtype

    # --- state ---

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = None,
        dtype: str | None = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new state variable.

        Args:
            shape: its shape.
            initializer: a callable or the name of an initializer, default zeros.
            dtype: a dtype name, default `floatx()`.
            aggregation: how the values of ranks are joined: `"sum"`, `"mean"` or `"none"`.
            name: its name.

        Returns:
            The variable.
        """
        self._check_super_called()
        variable = Variable(
            _initializer(initializer),
            shape=tuple(shape),
            dtype=dtype,
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.name.replace('/', '>')}/{variable.name}"
        self._tracked_variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """A new state variable; see `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The state variables, those of metrics within this one last."""
        inner = (v for m in self._tracked_metrics for v in m.variables)
        return [*self._tracked_variables, *inner]

    def __setattr__(self, name, value):
        tracked = self.__dict__.get("_tracked_variables")
        if tracked is not None:
            for leaf in tree.flatten(value):
                if isinstance(leaf, Variable) and not any(leaf is v for v in tracked):
                    tracked.append(leaf)
                elif isinstance(leaf, Metric) and not any(leaf is m for m in self._tracked_metrics):
                    self._tracked_metrics.append(leaf)
        super().__setattr__(name, value)

    def _check_super_called(self):
        if "_tracked_variables" not in self.__dict__:
            raise NotInitializedError(
                f"In metric '{type(self).__name__}', you forgot to call `super().__init__()` as "
                "the first statement in the `__init__()` method. Go add it!"
            )

    # --- what subclasses define ---

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch to the state."""
        raise NotImplementedError(f"{type(self).__name__} does not define `update_state`.")

    def result(self) -> Any:
        """The metric's value, a tensor or a dict of tensors, from the state."""
        raise NotImplementedError(f"{type(self).__name__} does not define `result`.")

    def reset_state(self) -> None:
        """Start again from zeros."""
        for v in self.variables:
            v.assign(ops.zeros(v.shape, v.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch to the state and return the value so far."""
        self._check_super_called()
        self.update_state(*args, **kwargs)
        return self.result()

    # --- the same without side effects ---

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any):
        """The state after a batch, from a given state; the metric's own does not change.

        Args:
            metric_variables: tensors, one for each of `variables`.
            *args, **kwargs: those of `update_state`.

        Returns:
            A list of tensors.
        """
        with self._state(metric_variables):
            self.update_state(*args, **kwargs)
            return [v.value for v in self.variables]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The value that belongs to a given state."""
        with self._state(metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list:
        """The state with which the metric starts, a list of tensors."""
        with self._state([v.value for v in self.variables]):
            self.reset_state()
            return [v.value for v in self.variables]

    @contextmanager
    def _state(self, values: Sequence[Any]) -> Iterator[None]:
        variables = self.variables
        if len(values) != len(variables):
            raise ArgumentError(
                "Argument `metric_variables` must be a list of tensors corresponding 1:1 to "
                f"{type(self).__name__}().variables. Received list with length {len(values)}, but "
                f"expected {len(variables)} variables."
            )
        before = [v.value for v in variables]
        try:
            for v, value in zip(variables, values, strict=True):
                v.assign(value)
            yield
        finally:
            for v, value in zip(variables, before, strict=True):
                v.assign(value)

    # --- configuration ---

    def get_config(self) -> dict:
        """The arguments from which the metric can be made again."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict):
        """A metric made from `get_config()`'s result."""
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


def _initializer(initializer: Any) -> Callable:
    if initializer is None or initializer in ("zeros", "Zeros"):
        return _zeros
    if callable(initializer) and not isinstance(initializer, type):
        return initializer
    from distkeras import initializers

    return initializers.get(initializer)
