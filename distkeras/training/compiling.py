"""`compile`: what a model is to be trained with."""

import warnings
from typing import Any

from distkeras import metrics as metrics_module
from distkeras import optimizers
from distkeras.errors import ArgumentError
from distkeras.training.compile_utils import CompileLoss, CompileMetrics

__all__ = ["Compiling"]


class Compiling:
    """`compile` and its configuration; a part of `Trainer`."""

    _jit_compile: Any
    _run_eagerly: bool
    _compile_config: dict | None
    compiled: bool
    optimizer: Any

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: a name or an `Optimizer`, default `"rmsprop"`.
            loss: a name, `Loss` or function `(y_true, y_pred)`; a list or dict of them for several
                outputs.
            loss_weights: factors of the outputs' losses.
            metrics: names, `Metric`s or functions, in a list, or a list or dict for several
                outputs.
            weighted_metrics: the same, for metrics that heed `sample_weight` and `class_weight`.
            run_eagerly: whether steps always run operation by operation.
            steps_per_execution: accepted for Keras's sake: callbacks are called after every step.
            jit_compile: `True`, `False` or `"auto"`.
            auto_scale_loss: whether float16 policies wrap the optimizer in a loss scale.

        Raises:
            ArgumentError: for arguments outside their domain.
            UnknownNameError: for names that nobody knows.

        Example:
            >>> import distkeras as keras
            >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            >>> model.compile("sgd", "mse", metrics=["mae"])
        """
        config = self._describe_compile(locals())
        if (
            not isinstance(steps_per_execution, int)
            or isinstance(steps_per_execution, bool)
            or steps_per_execution < 1
        ):
            raise ArgumentError(
                f"`steps_per_execution` must be a positive integer, got {steps_per_execution!r}."
            )
        if jit_compile not in (True, False, "auto"):
            raise ArgumentError(
                f"`jit_compile` must be True, False or 'auto', got {jit_compile!r}."
            )
        if jit_compile is True and run_eagerly:
            warnings.warn(
                "If `run_eagerly` is True, then `jit_compile` cannot also be True. Disabling "
                "`jit_compile`.",
                stacklevel=2,
            )
        names = getattr(self, "_output_keys", None) or getattr(self, "output_names", None)
        found = {
            "optimizer": self._scaled(optimizers.get(optimizer), auto_scale_loss),
            "auto_scale_loss": auto_scale_loss,
            "loss": loss,
            "loss_weights": loss_weights,
            "_compile_loss": None,
            "_compile_metrics": None,
            "_loss_tracker": metrics_module.Mean(name="loss"),
            "steps_per_execution": steps_per_execution,
            "_run_eagerly": bool(run_eagerly),
            "_jit_compile": False if run_eagerly else jit_compile,
            "_compile_config": config,
            "stop_training": False,
            "compiled": True,
        }
        if loss is not None:
            found["_compile_loss"] = CompileLoss(loss, loss_weights, output_names=names)
        if metrics is not None or weighted_metrics is not None:
            found["_compile_metrics"] = CompileMetrics(
                metrics, weighted_metrics, output_names=names
            )
        for name, value in found.items():  # past the layer's tracking: they are not its state
            object.__setattr__(self, name, value)

    def _scaled(self, optimizer: Any, auto_scale_loss: bool) -> Any:
        """The optimizer, with a loss scale around it where gradients are of half precision."""
        half = self.dtype_policy.name == "mixed_float16"  # type: ignore[attr-defined]
        done = optimizer is None or isinstance(optimizer, optimizers.LossScaleOptimizer)
        if not (auto_scale_loss and half) or done:
            return optimizer
        return optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")

    def _describe_compile(self, arguments: dict) -> dict:
        """The arguments of `compile` as they were given: files save them."""
        return {k: v for k, v in arguments.items() if k != "self"}

    @property
    def run_eagerly(self) -> bool:
        """Whether steps always run operation by operation."""
        return self._run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        object.__setattr__(self, "_run_eagerly", bool(value))

    @property
    def jit_compile(self) -> bool | str:
        """`True`, `False` or `"auto"`."""
        return self._jit_compile

    @jit_compile.setter
    def jit_compile(self, value: bool | str) -> None:
        object.__setattr__(self, "_jit_compile", value)

    def get_compile_config(self) -> dict | None:
        """What `compile` was called with, as it is saved; `None` before."""
        from distkeras.saving.serialization import serialize_keras_object

        if not self.compiled or self._compile_config is None:
            return None
        return {k: serialize_keras_object(v) for k, v in self._compile_config.items()}

    def compile_from_config(self, config: dict) -> None:
        """Compile as `get_compile_config()` recorded it.

        Args:
            config: its result.
        """
        from distkeras.saving.serialization import deserialize_keras_object

        if type(self).compile is not Compiling.compile:
            warnings.warn(
                "`compile()` was not called as part of model loading because the model's "
                "`compile()` method is custom. Override `get_compile_config()` and "
                "`compile_from_config(config)` as well, or call `compile()` after loading.",
                stacklevel=2,
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]
