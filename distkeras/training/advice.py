"""Warnings about losses that fit a model's outputs by the letter, but are hardly meant."""

import warnings
from typing import Any

import numpy as np

from distkeras import losses
from distkeras.layers.layer import Layer
from distkeras.ops.symbolic import KerasTensor
from distkeras.utils import tree

__all__ = ["advise", "advise_on_loss"]

# Those whose `from_logits` says what the predictions are.
_OF_PROBABILITIES = (
    losses.BinaryCrossentropy,
    losses.BinaryFocalCrossentropy,
    losses.CategoricalCrossentropy,
    losses.CategoricalFocalCrossentropy,
    losses.SparseCategoricalCrossentropy,
)
# Those whose targets are probabilities.
_OF_BINARY_TARGETS = (losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy)
# Those that compare each prediction with a target of its own, and would silently broadcast.
_BY_ELEMENT = (
    losses.MeanSquaredError,
    losses.MeanAbsoluteError,
    losses.MeanAbsolutePercentageError,
    losses.MeanSquaredLogarithmicError,
    losses.Huber,
    losses.LogCosh,
)


def advise(model: Any, targets: list, outputs: Any, values: list) -> None:
    """Warn where a loss gets logits for probabilities or the reverse, a softmax of one unit, binary
    targets outside 0..1, or broadcasts.

    Args:
        model: a compiled model.
        targets: the target of each flat output, with a shape, or `None`.
        outputs: what the model returns, with shapes.
        values: the first rows of the targets, arrays or `None`.
    """
    flat = tree.flatten(outputs)
    last = tree.flatten(getattr(model, "outputs", None) or [])
    for term in model._compile_loss._terms:
        loss, output, target = term.loss, flat[term.position], targets[term.position]
        function, settings = getattr(loss, "fn", None), getattr(loss, "_fn_kwargs", {})
        if len(last) == len(flat) and any(function is _function(c) for c in _OF_PROBABILITIES):
            _about_logits(loss.name, settings.get("from_logits", False), last[term.position])
        if len(last) == len(flat):
            _about_one_unit(last[term.position])
        if any(function is _function(c) for c in _OF_BINARY_TARGETS):
            _about_binary_targets(loss.name, values[term.position])
        if target is not None and any(function is _function(c) for c in _BY_ELEMENT):
            _about_shapes(loss.name, tuple(target.shape), tuple(output.shape))


def _function(cls: type) -> Any:
    return cls().fn  # type: ignore[attr-defined]


def _about_logits(name: str, from_logits: bool, output: KerasTensor) -> None:
    layer, activation = _last_activation(output)
    if activation in ("softmax", "sigmoid") and from_logits:
        warnings.warn(
            f"The loss '{name}' has `from_logits=True`, but the layer '{layer}' ends in "
            f"{activation}: its outputs are probabilities already. Leave out the activation, or "
            "`from_logits`.",
            stacklevel=2,
        )
    elif activation == "linear" and not from_logits:
        warnings.warn(
            f"The loss '{name}' takes probabilities, but the layer '{layer}' has no activation: "
            "its outputs are logits. Give the loss `from_logits=True`, or the layer a softmax or "
            "sigmoid.",
            stacklevel=2,
        )


def _last_activation(output: KerasTensor) -> tuple[str, str | None]:
    """The layer that an output comes from and its activation's name; `None` where none is known."""
    history = getattr(output, "_keras_history", None)
    operation = history.operation if history else None
    inner = getattr(operation, "outputs", None)
    if history and inner and len(inner) > history.tensor_index:  # a model within
        return _last_activation(inner[history.tensor_index])
    if not isinstance(operation, Layer):
        return "", None
    kind = type(operation).__name__.lower()
    if kind == "softmax":
        return operation.name, kind
    return operation.name, getattr(getattr(operation, "activation", None), "__name__", None)


def _about_shapes(name: str, target: tuple, output: tuple) -> None:
    if len(target) != len(output) or target[1:] == output[1:]:
        return
    if any(a != b and 1 in (a, b) for a, b in zip(target[1:], output[1:], strict=True)):
        warnings.warn(
            f"The loss '{name}' gets targets of shape {('batch', *target[1:])} and outputs of "
            f"shape {('batch', *output[1:])}, and spreads the smaller ones over the larger. Give "
            "the last layer as many units as there are targets for a sample, or reshape `y`.",
            stacklevel=2,
        )


def _about_one_unit(output: KerasTensor) -> None:
    layer, activation = _last_activation(output)
    if activation == "softmax" and output.shape and output.shape[-1] == 1:
        warnings.warn(
            f"The layer '{layer}' is a softmax of one unit, which is always 1, so nothing can be "
            "learned. Give it a sigmoid, or as many units as there are classes.",
            stacklevel=2,
        )


def _about_binary_targets(name: str, target: Any) -> None:
    if not isinstance(target, np.ndarray) or not target.size or target.dtype.kind not in "iuf":
        return
    least, most = target.min(), target.max()
    if least < 0 or most > 1:
        warnings.warn(
            f"The loss '{name}' takes targets from 0 to 1, but the first ones go from "
            f"{least} to {most}. Map two classes to 0 and 1; for more classes use a softmax and "
            "the sparse categorical cross-entropy.",
            stacklevel=2,
        )


def advise_on_loss(loss: Any, epoch: int, x: Any) -> bool:
    """Warn where the loss of an epoch is NaN or infinite, with the cause as far as it can be seen.

    Args:
        loss: the loss in the logs, a number.
        epoch: the epoch, from 0.
        x: the inputs that `fit` was given.

    Returns:
        Whether it warned.
    """
    if not isinstance(loss, float) or np.isfinite(loss):
        return False
    arrays = [a for a in tree.flatten(x) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    wrong = [np.argwhere(~np.isfinite(a)) for a in arrays]
    found = next((places[0] for places in wrong if len(places)), None)
    if found is not None:
        cause = f"The inputs hold NaN or infinity, first in sample {found[0]}: clean them."
    else:
        cause = (
            "Usual causes: a learning rate that is too large (or no `clipnorm`), inputs that are "
            "not scaled, a logarithm of 0 or a division by 0 in a loss of your own."
        )
    warnings.warn(
        f"The loss is {loss} in epoch {epoch + 1}: nothing is learned from here on. {cause} "
        "`keras.callbacks.TerminateOnNaN()` stops at the first such batch.",
        stacklevel=4,  # the caller of `fit`
    )
    return True
