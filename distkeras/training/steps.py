"""One step of training, evaluation or prediction, and the losses and metrics that belong to it."""

import functools
import inspect
import warnings
from typing import Any

from distkeras import ops
from distkeras.data.batch import rows_of, unpack_x_y_sample_weight
from distkeras.distribution import denominators
from distkeras.engine import context
from distkeras.engine.batch import REDUCED
from distkeras.engine.tape import GradientTape
from distkeras.errors import ArgumentError
from distkeras.training.results import results_of

__all__ = ["Steps"]


@functools.lru_cache(maxsize=256)
def _takes_training(function: Any) -> bool:
    return "training" in inspect.signature(function).parameters


class Steps:
    """What models override for training of their own; a part of `Trainer`."""

    _compile_loss: Any
    _compile_metrics: Any
    _loss_tracker: Any
    compiled: bool
    optimizer: Any

    # --- metrics ---

    @property
    def metrics(self) -> list:
        """The loss tracker, the compiled metrics, the metrics of outputs' losses, then those of the
        model and its layers."""
        found = []
        if self.compiled:
            if self._loss_tracker is not None:
                found.append(self._loss_tracker)
            if self._compile_metrics is not None:
                found.append(self._compile_metrics)
            if self._compile_loss is not None:
                found.extend(self._compile_loss.metrics)
        found.extend(self._metrics)  # type: ignore[attr-defined]
        for layer in self._flatten_layers(include_self=False, recursive=False):  # type: ignore[attr-defined]
            if not isinstance(layer, Steps):
                found.extend(layer.metrics)
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        """Forget what all metrics have seen."""
        for m in self.metrics:
            m.reset_state()

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """Update the compiled metrics and return all results; override it for metrics of your own.

        Args:
            x, y, sample_weight: the data of the step.
            y_pred: the model's outputs.

        Returns:
            A dict of metric name -> value.
        """
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict:
        """The results of all metrics, by name; they are computed when they are read."""
        return results_of(self.metrics)

    # --- the loss ---

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The total loss of a step: the compiled one, and what layers and regularizers add.

        Args:
            x, y, sample_weight: the data of the step.
            y_pred: the model's outputs.
            training: whether the step trains.

        Returns:
            A scalar tensor. On several ranks it is this rank's part: the parts add up to the loss
            of the global batch.

        Raises:
            ArgumentError: where there is nothing to compute.
        """
        parts = []
        if self._compile_loss is not None:
            value = self._compile_loss(y, y_pred, sample_weight)
            if value is not None:
                parts.append(value)
        parts.extend(self._additional_losses())
        if not parts:
            raise ArgumentError(
                "No loss to compute. Provide a `loss` argument in `compile()`, or let layers call "
                "`add_loss`."
            )
        total = parts[0]
        for part in parts[1:]:
            total = ops.add(total, part)
        return total

    def _additional_losses(self) -> list:
        found = []
        for layer in self._flatten_layers():  # type: ignore[attr-defined]
            for value in layer._losses:
                value = ops.sum(ops.convert_to_tensor(value))
                # What does not depend on this rank's rows is known to every rank: each takes its
                # share.
                known = getattr(value, "batch", None) is None
                found.append(denominators.share(value) if known else value)
        penalties = self._regularization_losses()  # type: ignore[attr-defined]
        found.extend(map(denominators.share, penalties))
        return found

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        if _takes_training(type(self).compute_loss):
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    def _track_loss(self, loss: Any, x: Any) -> None:
        """Count the loss as often as there are samples: ranks' parts add up to the global mean."""
        here, everywhere = context.state().rows or (rows_of(x),) * 2
        if getattr(loss, "batch", None) != REDUCED:  # no part of a sum: each rank has it whole
            everywhere = here
        self._loss_tracker.add(loss * everywhere, here)

    # --- the steps ---

    def _forward(self, x: Any, training: bool) -> Any:
        takes = self._call_signature.takes("training")  # type: ignore[attr-defined]
        return self(x, training=training) if takes else self(x)  # type: ignore[operator]

    def train_step(self, data: Any) -> dict:
        """One step of training; override it for training of your own.

        Args:
            data: `x`, `(x, y)` or `(x, y, sample_weight)` as tensors.

        Returns:
            A dict of metric name -> value.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
            scaled = loss if self.optimizer is None else self.optimizer.scale_loss(loss)
        self._track_loss(loss, x)
        weights = self.trainable_weights  # type: ignore[attr-defined]
        if weights and self.optimizer is None:
            raise ArgumentError(
                "The model was compiled with optimizer=None, which can evaluate but not train: "
                "compile it with an optimizer."
            )
        if weights:
            self.optimizer.apply(tape.gradient(scaled, weights), weights)
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict:
        """One step of evaluation; see `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=False)
        self._track_loss(self._loss_of(x, y, y_pred, sample_weight, training=False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch.

        Args:
            data: as in `train_step`.
        """
        x, _, _ = unpack_x_y_sample_weight(data)
        return self._forward(x, training=False)
