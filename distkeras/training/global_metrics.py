"""Metrics over all ranks: each rank counts its own rows, which are added up when somebody asks."""

from distkeras.errors import ArgumentError
from distkeras.strategies import Strategy

__all__ = ["global_results"]


def global_results(model, strategy: Strategy) -> dict:
    """The results of a model's metrics over all ranks; this rank's own counts stay as they are.

    Args:
        model: the model.
        strategy: how the rows are spread.

    Returns:
        A dict of metric name -> value.

    Raises:
        ArgumentError: for a metric whose state is not additive.
    """
    if strategy.size == 1:
        return model.get_metrics_result()
    variables = []
    for metric in model.metrics:
        for v in metric.variables:
            if v.aggregation not in ("none", "sum"):
                raise ArgumentError(
                    f"The metric '{metric.name}' keeps '{v.path}', which ranks join by "
                    f"'{v.aggregation}'; only sums are joined so far."
                )
            variables.append(v)
    own = [v.numpy() for v in variables]
    for v, total in zip(variables, strategy.totals(own), strict=True):
        v.assign(total)
    try:
        return dict(model.get_metrics_result())
    finally:
        for v, value in zip(variables, own, strict=True):
            v.assign(value)
