"""Metrics over all ranks: each rank counts its own rows, which are joined when somebody asks."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras.strategies import Strategy

__all__ = ["global_results"]


def global_results(model, strategy: Strategy) -> dict:
    """The results of a model's metrics over all ranks; this rank's own counts stay as they are.

    Args:
        model: the model.
        strategy: how the rows are spread.

    Returns:
        A dict of metric name -> value.
    """
    if strategy.size == 1:
        return model.get_metrics_result()
    variables = [v for m in model.metrics for v in _counted_by_rows(m)]
    own = [v.numpy() for v in variables]
    kinds = [v.aggregation for v in variables]
    for v, total in zip(variables, joined(own, kinds, strategy), strict=True):
        v.assign(total)
    try:
        return dict(model.get_metrics_result())
    finally:
        for v, value in zip(variables, own, strict=True):
            v.assign(value)


def _counted_by_rows(metric: Any) -> Iterator:
    """The variables of which each rank has its own value; others are the same everywhere."""
    if metric.by_rows is None:
        for member in metric.metrics:
            yield from _counted_by_rows(member)
    elif metric.by_rows:
        yield from metric.variables


# Aggregation -> what a rank adds to the sum of all, from its value, its rank and their number.
_SUMMANDS: dict[str, Callable] = {
    "sum": lambda value, rank, size: value,
    "none": lambda value, rank, size: value,
    "mean": lambda value, rank, size: np.asarray(value, np.float64) / size,
    "only_first_replica": lambda value, rank, size: value * (rank == 0),
}
_SIGNS = {"max": 1, "min": -1}


def joined(values: list, aggregations: list, strategy: Strategy) -> list:
    """Host arrays joined over ranks, each by its own rule; one message for sums, one for extremes.

    Args:
        values: this rank's arrays.
        aggregations: for each how ranks are joined, as in `Metric.add_variable`.
        strategy: how the rows are spread.
    """
    pairs = list(zip(values, aggregations, strict=True))
    sums = iter(
        strategy.totals(
            [_SUMMANDS[k](v, strategy.rank, strategy.size) for v, k in pairs if k in _SUMMANDS]
        )
    )
    largest = iter(strategy.extremes([_SIGNS[k] * v for v, k in pairs if k in _SIGNS]))
    return [
        next(sums).astype(v.dtype) if k in _SUMMANDS else next(largest) * _SIGNS[k]
        for v, k in pairs
    ]
