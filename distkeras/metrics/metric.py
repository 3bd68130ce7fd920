"""`Metric`: state that sums up over batches, and over ranks.

Within a step on several ranks a metric is updated in one of two ways, which `by_rows` says:

a) Each rank adds its own rows. A variable's `aggregation` says how the values of ranks are joined:
   `"sum"` (the default: totals and counts), `"mean"`, `"max"`, `"min"`, or `"only_first_replica"`.
   A metric's result is a function of its state alone, so the states of all metrics of a model are
   joined in one collective (`training/global_metrics.py`), and every rank reports the same result.
b) Every rank adds the rows of all ranks, which are gathered first. This is right whatever
   `update_state` does; the state is the same everywhere.
"""

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distkeras import ops
from distkeras.distribution import denominators
from distkeras.distribution.batch import rows_of_all_ranks
from distkeras.engine import context
from distkeras.engine.batch import REDUCED, WHOLE
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, NotInitializedError
from distkeras.losses.loss import compute_dtype
from distkeras.utils import tree
from distkeras.utils.naming import auto_name, to_snake_case

__all__ = ["Metric"]


def _zeros(shape, dtype=None):
    return ops.zeros(shape, dtype)


def of_distkeras(x: Any) -> bool:
    """Whether a class or function is defined in distkeras itself.

    Example:
        >>> of_distkeras(Metric), of_distkeras(len)
        (True, False)
    """
    module = getattr(x, "__module__", None) or type(x).__module__
    return module.split(".")[0] == __name__.split(".")[0]


def _on_ranks(update: Callable) -> Callable:
    """`update_state` that takes this rank's rows, or those of all, within a step on several."""

    @functools.wraps(update)
    def wrapper(self, *args, **kwargs):
        step = context.state()
        if self.by_rows is None or not (step.track_batch or denominators.active()):
            return update(self, *args, **kwargs)
        if self.by_rows or step.gather is None:
            args, kwargs = tree.map_structure(_own, (args, kwargs))
            with denominators.local():
                return update(self, *args, **kwargs)
        args, kwargs = tree.map_structure(_all, (args, kwargs))
        with denominators.one_process():
            return update(self, *args, **kwargs)

    return wrapper


def _own(x: Any) -> Any:
    """This rank's rows of a tensor that holds those of all."""
    step: Any = context.state()
    if getattr(x, "batch", None) != WHOLE or not x.shape or x.shape[0] != step.rows[1]:
        return x
    return _masked_as(x, step.own(x, 0), _own)


def _all(x: Any) -> Any:
    """The rows of all ranks, or the sum where ranks have parts of one."""
    step: Any = context.state()
    mark = getattr(x, "batch", None)
    if mark == REDUCED:
        return step.join(x)
    if mark is None or isinstance(mark, str):
        return x
    if x.uid not in _GATHERED:
        rows = _masked_as(x, rows_of_all_ranks(x, mark), _all)
        _GATHERED[x.uid] = weakref.ref(x, functools.partial(_forget, x.uid)), rows
    return _GATHERED[x.uid][1]


# What several metrics of a step look at is gathered once, and forgotten together with it.
_GATHERED: dict[int, tuple[Any, Any]] = {}


def _forget(uid: int, _: Any) -> None:
    _GATHERED.pop(uid, None)


def _masked_as(x: Any, rows: Any, of: Callable) -> Any:
    mask = getattr(x, "_keras_mask", None)
    if mask is not None:
        rows._keras_mask = of(mask)
    return rows


class Metric:
    """The base of metrics: subclasses add variables and define `update_state` and `result`.

    Args:
        dtype: of the computation, a name or dtype policy, default `floatx()`.
        name: default the class's name in snake case, with a number from the second on.

    On several ranks a class outside of distkeras that defines `update_state` gets the rows of all
    ranks, on each of them. If it gives the same sums however the rows are spread, say `by_rows =
    True` in the class: each rank adds its own rows then, and nothing is gathered.

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

    # Whether ranks update the metric with their own rows, whose states are then joined: so do those
    # of distkeras, and classes of others that say so. `None`: its members decide.
    by_rows: bool | None = True
    # "up" or "down" where more is known to be better or worse; callbacks with mode "auto" ask.
    _direction: str | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "update_state" in cls.__dict__:
            cls.update_state = _on_ranks(cls.__dict__["update_state"])
            if "by_rows" not in cls.__dict__:
                cls.by_rows = of_distkeras(cls)

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
            aggregation: how the values of ranks are joined where each counts its own rows
                (`by_rows`): `"sum"` (default), `"mean"`, `"max"`, `"min"` or
                `"only_first_replica"`.
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
