"""What `compile` was given, put beside a model's outputs when the first batch shows their form."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from distkeras import losses, metrics, ops
from distkeras.engine import context
from distkeras.errors import ArgumentError, NotBuiltError
from distkeras.training.structures import align, describe, names_of_outputs, same_form
from distkeras.utils import tree
from distkeras.utils.naming import to_snake_case

__all__ = ["CompileLoss", "CompileMetrics"]


def _name_of(thing: Any) -> str:
    """The name under which an object or a function appears in logs."""
    if hasattr(thing, "name"):
        return thing.name
    return to_snake_case(getattr(thing, "__name__", type(thing).__name__))


def _by_shape(y_true: Any, y_pred: Any, binary: Any, sparse: Any, categorical: Any) -> Any:
    """One of three, by what the shapes of labels and predictions say about the labels."""
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if pred and pred[-1] == 1:
        return binary
    if len(true) < len(pred) or (true and true[-1] == 1):
        return sparse
    return categorical


def resolve_loss(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """A `Loss` from what `compile` takes; `"crossentropy"` is chosen by the shapes."""
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        found = _by_shape(
            y_true,
            y_pred,
            losses.binary_crossentropy,
            losses.sparse_categorical_crossentropy,
            losses.categorical_crossentropy,
        )
    else:
        found = losses.get(identifier)
    if isinstance(found, losses.Loss):
        return found
    name = identifier if isinstance(identifier, str) else _name_of(found)
    return losses.LossFunctionWrapper(found, name=name)


def resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """A `Metric` from what `compile` takes; `"accuracy"` is chosen by the shapes."""
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        cls = _by_shape(
            y_true,
            y_pred,
            metrics.BinaryAccuracy,
            metrics.SparseCategoricalAccuracy,
            metrics.CategoricalAccuracy,
        )
        return cls(name=identifier)
    found = metrics.get(identifier)
    name = identifier if isinstance(identifier, str) else _name_of(found)
    if not isinstance(found, metrics.Metric):
        found = metrics.MeanMetricWrapper(found)
    found.name = name
    return found


class Term(NamedTuple):
    """The loss of one output.

    Attributes:
        position: which of the flat outputs.
        loss: the `Loss`.
        weight: its factor, or `None`.
        name: the output's name in logs.
        tracker: the mean of its values, where there are several terms.
    """

    position: int
    loss: Any
    weight: float | None
    name: str
    tracker: Any


class CompileLoss(losses.Loss):
    """The weighted sum of the losses of a model's outputs.

    Args:
        loss: a name, `Loss` or function for all outputs; or a list, a dict by names of outputs, or
            a structure of the outputs' form, with `None` where an output has no loss.
        loss_weights: a number, or numbers in the form of `loss`.
        reduction: accepted for Keras's sake.
        output_names: the names of the flat outputs, where known.

    Raises:
        ArgumentError: where loss, weights, targets and outputs do not fit together.
    """

    def __init__(
        self,
        loss: Any,
        loss_weights: Any = None,
        reduction: str = "sum_over_batch_size",
        output_names: Sequence[str] | None = None,
    ):
        super().__init__(name="compile_loss", reduction=reduction)
        if loss_weights is not None and not isinstance(
            loss_weights, list | tuple | dict | float | int
        ):
            raise ArgumentError(
                "Expected `loss_weights` argument to be a float (single output case) or a list, "
                "tuple, or dict (multiple output case). Received instead: loss_weights="
                f"{loss_weights} of type {type(loss_weights)}"
            )
        self.output_names = output_names
        self.built = False
        self._loss, self._weights = loss, loss_weights
        self._terms: list[Term] = []

    @property
    def metrics(self) -> list:
        """The means of the outputs' losses, where there are several."""
        return [term.tracker for term in self._terms if term.tracker is not None]

    @property
    def variables(self) -> list:
        """The state of `metrics`."""
        return [v for m in self.metrics for v in m.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Resolve names and forms; done by the first call."""
        self._build(self._targets(y_true, y_pred), y_pred)

    def _build(self, targets: list, y_pred: Any) -> None:
        outputs = tree.flatten(y_pred)
        given = self._losses(y_pred, len(outputs))
        weights = self._loss_weights(y_pred, len(outputs))
        paths = names_of_outputs(y_pred, self.output_names)
        several = sum(loss is not None for loss in given) > 1
        terms = []
        for i, (loss, weight, path) in enumerate(zip(given, weights, paths, strict=True)):
            if loss is None:
                continue
            if targets[i] is None:
                raise ArgumentError(_no_target(path, i))
            resolved = resolve_loss(loss, targets[i], outputs[i])
            name = "/".join(str(resolved.name if p is None else p) for p in path)
            tracker = metrics.Mean(name=f"{name}_loss") if several else None
            terms.append(Term(i, resolved, weight, name, tracker))
        if isinstance(self._loss, dict) and isinstance(y_pred, dict):
            order = list(self._loss)  # logs name the losses in the order in which they were given
            terms.sort(key=lambda term: order.index(paths[term.position][0]))
        self._terms = terms
        self.built = True

    def _losses(self, y_pred, count) -> list:
        """The loss of each flat output."""
        loss, names = self._loss, self.output_names
        if not tree.is_nested(loss):
            return [loss] * count
        by_name = isinstance(loss, dict) and not isinstance(y_pred, dict)
        if by_name and names and set(loss) != set(names):
            raise ArgumentError(
                f"Expected keys {list(names)} in loss dict, but found loss.keys()={list(loss)}"
            )
        return align(loss, y_pred, names, "`loss`")

    def _loss_weights(self, y_pred, count) -> list:
        """The factor of each flat output's loss."""
        weights, loss = self._weights, self._loss
        if weights is None:
            return [None] * count
        if isinstance(weights, float | int):
            if tree.is_nested(loss) and len(tree.flatten(loss)) > 1:
                raise ArgumentError(
                    f"`loss_weights` must match the number of losses, got "
                    f"{len(tree.flatten(loss))} losses and 1 weight."
                )
            return [float(weights)] * count
        expected, found = len(tree.flatten(loss)), len(tree.flatten(weights))
        if expected != found:
            raise ArgumentError(
                f"`loss_weights` must match the number of losses, got {expected} losses and "
                f"{found} weights."
            )
        if not tree.is_nested(loss):
            return [tree.flatten(weights)[0]] * count
        if not same_form(loss, weights):  # a flat list for losses in a dict, or the reverse
            weights = tree.pack_sequence_as(loss, tree.flatten(weights))
        return align(weights, y_pred, self.output_names, "`loss_weights`")

    def _targets(self, y_true: Any, y_pred: Any) -> list:
        """The target of each flat output, `None` for outputs that have no loss and no target."""
        try:
            return align(y_true, y_pred, self.output_names, "y_true")
        except ArgumentError:
            flat = tree.flatten(y_true)
            given = self._losses(y_pred, len(tree.flatten(y_pred)))
            with_loss = [i for i, loss in enumerate(given) if loss is not None]
            if len(flat) != len(with_loss) or isinstance(y_true, dict):
                raise
        targets = [None] * len(given)
        for i, target in zip(with_loss, flat, strict=True):
            targets[i] = target
        return targets

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted sum of all outputs' losses; `None` where no output has one."""
        targets = self._targets(y_true, y_pred)
        if not self.built:
            self._build(targets, y_pred)
        outputs = tree.flatten(y_pred)
        if sample_weight is None or not tree.is_nested(sample_weight):
            weights = [sample_weight] * len(outputs)
        else:
            weights = align(sample_weight, y_pred, self.output_names, "`sample_weight`")
        total = None
        for index, loss, factor, _, tracker in self._terms:
            output = outputs[index]
            if targets[index] is None:
                path = names_of_outputs(y_pred, self.output_names)[index]
                raise ArgumentError(_no_target(path, index))
            value = ops.cast(loss(targets[index], output, weights[index]), self.dtype)
            if tracker is not None:
                _track(tracker, value, output)
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total

    call = __call__

    def get_config(self):
        raise NotImplementedError(
            "CompileLoss has no configuration; `model.get_compile_config()` has."
        )


def _no_target(path: tuple, index: int) -> str:
    return (
        f"The output {_path(path, index)} has a loss, but no target was given for it: pass one in "
        "`y` (in `validation_data` too), or set its loss to None."
    )


def _path(path: tuple, index: int) -> str:
    named = [str(p) for p in path if p is not None]
    return repr("/".join(named)) if named else f"number {index}"


def _track(tracker: Any, value: Any, output: Any) -> None:
    """Count a loss as often as there are samples: the parts of ranks add up to the global mean."""
    rows = output.shape[0] if output.shape else 1
    here, everywhere = context.state().rows or (rows, rows)
    tracker.add(ops.stop_gradient(value) * float(everywhere), here)


class _OutputMetrics(NamedTuple):
    """The metrics of one output."""

    position: int
    prefix: str
    metrics: list


class CompileMetrics(metrics.Metric):
    """The metrics that `compile` was given, for all outputs of a model.

    Args:
        metrics: names, `Metric`s or functions in a list; for several outputs a list or dict with
            metrics for each, or a structure of the outputs' form.
        weighted_metrics: the same, for metrics that heed sample weights.
        name: accepted for Keras's sake.
        output_names: the names of the flat outputs, where known.

    Raises:
        ArgumentError: where metrics and outputs do not fit together.
    """

    by_rows = None

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        name: str = "compile_metrics",
        output_names: Sequence[str] | None = None,
    ):
        super().__init__(name=name)
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, list | tuple | dict):
                raise ArgumentError(
                    f"Expected `{argument}` argument to be a list, tuple, or dict. Received "
                    f"instead: {argument}={value} of type {type(value)}"
                )
        self.output_names = output_names
        self.built = False
        self._given = {"metrics": metrics, "weighted_metrics": weighted_metrics}
        self._plain: list[_OutputMetrics] = []
        self._weighted: list[_OutputMetrics] = []

    @property
    def metrics(self) -> list:
        """All metrics, the weighted ones last; empty before the first batch."""
        return [m for group in (*self._plain, *self._weighted) for m in group.metrics]

    @property
    def variables(self) -> list:
        """The state of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Resolve names and forms; done by the first update."""
        self._build(self._align(y_true, y_pred), y_pred)

    def _align(self, y: Any, y_pred: Any) -> list:
        if tree.is_nested(y_pred) or tree.is_nested(y):
            return align(y, y_pred, self.output_names, "y_true")
        return [y]

    def _build(self, targets: list, y_pred: Any) -> None:
        outputs = tree.flatten(y_pred)
        prefixes = self._prefixes(y_pred, len(outputs))
        groups = {}
        for argument, given in self._given.items():
            found = []
            for i, identifiers in enumerate(self._for_outputs(argument, given, y_pred)):
                wanted = _as_list(identifiers, argument, given)
                if wanted and targets[i] is None:
                    raise ArgumentError(
                        f"The output {prefixes[i] or i} has {argument}, but no target was given "
                        "for it: pass one in `y`, or leave out its metrics."
                    )
                resolved = [resolve_metric(m, targets[i], outputs[i]) for m in wanted]
                if resolved:
                    found.append(_OutputMetrics(i, prefixes[i], resolved))
            groups[argument] = found
        self._plain, self._weighted = groups["metrics"], groups["weighted_metrics"]
        self.built = True

    def _prefixes(self, y_pred: Any, count: int) -> list[str]:
        """What stands before the metrics' names: keys of a flat dict, or names of the outputs."""
        if count == 1:
            return [""]
        if isinstance(y_pred, dict) and len(y_pred) == count:
            return [str(key) for key in sorted(y_pred)]
        names = self.output_names
        return list(names) if names and len(names) == count else [""] * count

    def _for_outputs(self, argument: str, given: Any, y_pred: Any) -> list:
        """The metrics of each flat output: one, a list of them, or `None`."""
        count = len(tree.flatten(y_pred))
        if not given:
            return [None] * count
        if count == 1:
            return [tree.flatten(given)]
        names = self.output_names
        found = _up_to(y_pred, given)
        if found is None and isinstance(given, dict) and names and given.keys() <= set(names):
            found = [given.get(name) for name in names] if len(names) == count else None
        if found is None and isinstance(given, list | tuple) and len(given) == count:
            found = list(given)
        if found is None:
            known = f"be a dict or list by the output names {list(names)}, or " if names else ""
            raise ArgumentError(
                f"Invalid `{argument}`. `{argument}` should contain metrics objects and {known}"
                f"match the output structure of the model: {describe(y_pred)}.\nReceived: "
                f"{argument}={given}"
            )
        return found

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of targets and outputs to all metrics."""
        targets, outputs = self._align(y_true, y_pred), tree.flatten(y_pred)
        if not self.built:
            self._build(targets, y_pred)
        for index, _, group in self._plain:
            for metric in group:
                metric.update_state(targets[index], outputs[index])
        if not self._weighted:
            return
        if tree.is_nested(sample_weight) and len(tree.flatten(sample_weight)) > 1:
            weights = align(sample_weight, y_pred, self.output_names, "`sample_weight`")
        else:
            weights = tree.flatten(sample_weight) * len(outputs)
        for index, _, group in self._weighted:
            for metric in group:
                metric.update_state(targets[index], outputs[index], weights[index])

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict:
        """The values of all metrics by their names in logs.

        Raises:
            NotBuiltError: before the first batch.
        """
        if not self.built:
            raise NotBuiltError(
                "Cannot get result() since the metric has not yet been built: no batch was seen."
            )
        results: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for group, again in ((self._plain, ""), (self._weighted, "weighted_")):
            for _, prefix, members in group:
                for metric in members:
                    name = f"{prefix}_{metric.name}" if prefix else metric.name
                    if again and name in seen:
                        name = f"{again}{metric.name}"
                        name = f"{prefix}_{name}" if prefix else name
                    number = seen.get(name, 0)
                    seen[name] = number + 1
                    results[f"{name}_{number}" if number else name] = metric.result()
        return results

    def get_config(self):
        raise NotImplementedError(
            "CompileMetrics has no configuration; `model.get_compile_config()` has."
        )


def _as_list(identifiers: Any, argument: str, given: Any) -> list:
    """The metrics of one output, as a list."""
    if identifiers is None:
        return []
    found = list(identifiers) if isinstance(identifiers, list | tuple) else [identifiers]
    for m in found:
        if m is None or not isinstance(m, str | dict | Callable):
            raise ArgumentError(f"Expected metric, received `{m}`\nReceived: {argument}={given}")
    return found


def _up_to(outputs: Any, given: Any) -> list | None:
    """What stands in `given` where `outputs` has its leaves; `None` where the forms differ."""
    if not tree.is_nested(outputs):
        return [given]
    if isinstance(outputs, dict):
        if not isinstance(given, dict) or not given.keys() <= outputs.keys():
            return None
        pairs = [(outputs[k], given.get(k)) for k in sorted(outputs)]
    else:
        if not isinstance(given, list | tuple) or len(given) != len(outputs):
            return None
        pairs = list(zip(outputs, given, strict=True))
    flat: list = []
    for inner, part in pairs:
        found = [None] * len(tree.flatten(inner)) if part is None else _up_to(inner, part)
        if found is None:
            return None
        flat.extend(found)
    return flat
