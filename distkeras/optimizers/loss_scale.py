"""`LossScaleOptimizer`: keeps small gradients of float16 from vanishing."""

import math
from collections.abc import Iterable
from typing import Any

from distkeras import ops
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError
from distkeras.optimizers.base import BaseOptimizer, HostNumber
from distkeras.optimizers.optimizer import Optimizer
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["LossScaleOptimizer"]

# What is set on the inner optimizer, and the value that means that nothing was.
_INNER = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class LossScaleOptimizer(Optimizer):
    """An optimizer whose loss is multiplied by a scale that finds itself.

    While gradients are finite, the scale doubles every `dynamic_growth_steps` updates; where one is
    not, the update is left out and the scale is halved.

    Args:
        inner_optimizer: the optimizer that updates the variables.
        initial_scale: the first scale, default 2**15.
        dynamic_growth_steps: after how many updates the scale doubles.
        name: a name.

    Raises:
        ArgumentError: for arguments that belong to the inner optimizer.

    Example:
        >>> import distkeras as keras
        >>> optimizer = LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=4.0)
        >>> w = keras.Variable([1.0])
        >>> optimizer.apply([keras.ops.ones((1,)) * 4.0], [w])
        >>> w.numpy().tolist()
        [0.5]
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise ArgumentError(
                "LossScaleOptimizer does not support `dynamic=False`. Instead, set "
                "`loss_scale_factor` on the `inner_optimizer`."
            )
        for argument, unset in _INNER.items():
            if kwargs.pop(argument, unset) != unset:
                raise ArgumentError(
                    f"LossScaleOptimizer does not support `{argument}`. Instead, set "
                    f"`{argument}` on the `inner_optimizer`."
                )
        if kwargs:
            names = "`, `".join(kwargs)
            raise ArgumentError(f"LossScaleOptimizer does not support arguments: `{names}`.")
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.inner_optimizer.loss_scale_factor = None
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the scale, and the inner optimizer's gradients and slots.

        Args:
            variables: all that the optimizer will ever update.
        """
        if self.built:
            return
        self.step_counter = self.add_variable((), 0, "int32", name="step_counter")
        scale = float(self.initial_scale)
        self.dynamic_scale = self.add_variable((), scale, "float32", name="dynamic_scale")
        self._counter = HostNumber(self.step_counter)
        self._scale = HostNumber(self.dynamic_scale)
        if not self.inner_optimizer.built:
            self.inner_optimizer.build(variables)
        self.built = True

    @property
    def variables(self) -> list[Variable]:
        """The own variables, then those of the inner optimizer."""
        return self._variables + self.inner_optimizer.variables

    @property
    def _trainable_variables(self) -> list[Variable]:
        return self.inner_optimizer._trainable_variables

    @property
    def learning_rate(self) -> Any:
        """That of the inner optimizer; it can be assigned."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """How many updates the inner optimizer made."""
        return self.inner_optimizer.iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Any = None) -> None:
        """Update variables, unless a gradient is not finite; see `Optimizer.apply`.

        Args:
            grads: gradients of the scaled loss, or `None`.
            trainable_variables: the variables, in the same order.
        """
        grads = [g if g is None else ops.convert_to_tensor(g) for g in grads]
        if not grads:
            return
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        inner = self.inner_optimizer
        if not self.built:
            inner.apply(grads)  # which says what is missing
        if all(g is None or bool(ops.all(ops.isfinite(g))) for g in grads):
            inner.loss_scale_factor = self._scale.get()
            try:
                inner.apply(grads, trainable_variables)
            finally:
                inner.loss_scale_factor = None
            if self._counter.get() == self.dynamic_growth_steps - 1:
                self._rescale(2.0)
            else:
                self._counter.set(self._counter.get() + 1)
        else:
            self._rescale(0.5)

    def _rescale(self, factor: float) -> None:
        self._counter.set(0)
        scale = self._scale.get() * factor
        if math.isfinite(scale) and scale > 0:
            self._scale.set(scale)

    def scale_loss(self, loss: Any) -> Any:
        """The loss, multiplied by the current scale."""
        return loss * (self.dynamic_scale if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Set variables to their moving average, where the inner optimizer keeps one."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Name the variables that the inner optimizer's weight decay leaves alone."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> BaseOptimizer:
        """The optimizer of a configuration."""
        inner = deserialize_keras_object(config["inner_optimizer"], custom_objects=custom_objects)
        return cls(**config | {"inner_optimizer": inner})
