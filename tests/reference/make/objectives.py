"""Losses and metrics over their tables."""

from __future__ import annotations

import keras
import numpy as np
import torch

from .. import cases_losses, cases_metrics
from ..formula import sample
from .common import numpy, save_json, save_npz


def main() -> None:
    """Write losses.npz and metrics.json."""
    save_npz("losses.npz", losses())
    save_json("metrics.json", metrics())


def copy(array):
    """Return a copy: Keras on PyTorch may multiply weights in place."""
    return None if array is None else np.array(array)


def losses() -> dict:
    """Return the values for all reductions and weights, and the gradient by y_pred."""
    arrays = {}
    for case in cases_losses.CASES:
        cls, arguments, kind = case
        y_true, y_pred, _ = cases_losses.DATA[kind]()
        name = cases_losses.key(case)
        for weight_name, weight in cases_losses.weights(case).items():
            for reduction in cases_losses.REDUCTIONS:
                loss = getattr(keras.losses, cls)(reduction=reduction, **arguments)
                key = f"{name}/{weight_name}/{reduction}"
                arrays[key] = numpy(loss(y_true, y_pred, sample_weight=copy(weight)))
        inputs = torch.tensor(np.asarray(y_pred, "float32"), requires_grad=True)
        weight = cases_losses.gradient_weight(case)
        getattr(keras.losses, cls)(**arguments)(y_true, inputs, sample_weight=weight).backward()
        arrays[f"{name}/gradient"] = sample(inputs.grad.numpy())
    for function, kind in cases_losses.FUNCTIONS:
        y_true, y_pred, _ = cases_losses.DATA[kind]()
        arrays[f"function {function}/{kind}"] = numpy(
            getattr(keras.losses, function)(y_true, y_pred)
        )
    return pack(arrays)


def pack(arrays: dict) -> dict:
    """Join many small float arrays in one, beside their names and shapes."""
    names = list(arrays)
    values = [np.asarray(arrays[n], "float32") for n in names]
    return {
        "names": np.array(names),
        "shapes": np.array([",".join(map(str, v.shape)) for v in values]),
        "values": np.concatenate([v.ravel() for v in values]),
    }


def result(metric):
    """Return a metric's result as nested lists of rounded floats."""
    return np.vectorize(lambda v: float(f"{v:.9g}"))(numpy(metric.result())).tolist()


def metrics() -> dict:
    """Return results after each of two updates, plain and weighted."""
    table = {}
    for case in cases_metrics.CASES:
        cls, arguments, kind = case
        entry = {}
        for mode in ("plain", "weighted"):
            metric = getattr(keras.metrics, cls)(**arguments)
            results = []
            for batch in ("a", "b"):
                data = cases_metrics.DATA[kind](batch)
                weight = cases_metrics.sample_weight(case, batch) if mode == "weighted" else None
                try:
                    metric.update_state(*data, sample_weight=weight)
                except Exception as error:
                    print(cases_metrics.key(case), mode, repr(error)[:150])
                    break
                results.append(result(metric))
            else:
                entry[mode] = results
        entry["variables"] = [[v.name, list(v.shape)] for v in metric.variables]
        metric.reset_state()
        entry["reset"] = result(metric)
        table[cases_metrics.key(case)] = entry
    return table


if __name__ == "__main__":
    main()
