"""Outputs and gradients of layers, by PyTorch's automatic differentiation."""

from __future__ import annotations

import keras
import numpy as np
import torch
from keras.src import backend
from keras.src.ops import nn

from .. import cases_layers
from ..formula import sample, set_formula_weights
from .common import numpy, save_npz


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Average over the real elements of each window.

    On PyTorch Keras repeats the edge where the padding of `same` is uneven; on its other backends
    padding never counts. The reference is the latter.
    """
    if padding != "same":
        return PLAIN_AVERAGE_POOL(inputs, pool_size, strides, padding, data_format)
    first = data_format == "channels_first"
    axes = range(2, inputs.ndim) if first else range(1, inputs.ndim - 1)
    widths = [0] * (2 * inputs.ndim)
    for axis, size, stride in zip(axes, pool_size, strides, strict=True):
        steps = -(-inputs.shape[axis] // stride)
        total = max(0, (steps - 1) * stride + size - inputs.shape[axis])
        widths[2 * (inputs.ndim - 1 - axis)] = total // 2
        widths[2 * (inputs.ndim - 1 - axis) + 1] = total - total // 2
    means, shares = (
        PLAIN_AVERAGE_POOL(
            torch.nn.functional.pad(x, widths), pool_size, strides, "valid", data_format
        )
        for x in (inputs, torch.ones_like(inputs))
    )
    return means / shares


PLAIN_AVERAGE_POOL = backend.nn.average_pool
backend.nn.average_pool = average_pool
# Keras's own formula instead of PyTorch's kernel, which refuses axes that are not the last ones.
nn.is_continuous_axis = lambda axis: False


def run(case) -> dict:
    """Return outputs, gradients and weights (sampled) of one case."""
    _, _, kind, options = cases_layers.parts(case)
    inputs = cases_layers.INPUTS[kind]()
    many = isinstance(inputs, list)
    tensors = [
        torch.tensor(x, requires_grad=x.dtype == np.float32) for x in (inputs if many else [inputs])
    ]
    layer = cases_layers.build(keras, case)
    layer.build([tuple(t.shape) for t in tensors] if many else tuple(tensors[0].shape))
    set_formula_weights(cases_layers.key(case), layer)
    states = [torch.tensor(s, requires_grad=True) for s in cases_layers.states(case)]
    call = {k: v for k, v in options.items() if k == "training"}
    if "mask" in options:
        call["mask"] = torch.tensor(options["mask"])
    if states:
        call["initial_state"] = states
    for _ in range(options.get("calls", 1)):
        outputs = layer(tensors if many else tensors[0], **call)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    differentiable = not getattr(
        layer, "stateful", False
    )  # PyTorch refuses: states change in place
    total = 0.0
    for i, output in enumerate(outputs):
        total = (
            total + (output * torch.tensor(cases_layers.cotangent(i, tuple(output.shape)))).sum()
        )
    sources = [t for t in tensors if t.requires_grad] + states
    sources += [w.value for w in layer.trainable_weights]
    gradients = (
        torch.autograd.grad(total, sources, allow_unused=True) if sources and differentiable else []
    )
    found = {f"output{i}": o.detach().numpy() for i, o in enumerate(outputs)}
    found |= {f"gradient{i}": g.numpy() for i, g in enumerate(gradients) if g is not None}
    found |= {f"state{i}": numpy(w) for i, w in enumerate(layer.non_trainable_weights)}
    found["weights"] = np.array([[w.name, str(tuple(w.shape))] for w in layer.weights]).reshape(
        -1, 2
    )
    return found


def main() -> None:
    """Write layers.npz: all cases joined, with names, shapes and sampled values."""
    names, shapes, values, weights = [], [], [], []
    for case in cases_layers.CASES:
        key = cases_layers.key(case)
        try:
            found = run(case)
        except Exception as error:
            print(key, repr(error)[:300])
            continue
        weights.append(key + "|" + ";".join(f"{n} {s}" for n, s in found.pop("weights")))
        for part, array in found.items():
            names.append(f"{key}|{part}")
            shapes.append(",".join(map(str, array.shape)))
            values.append(sample(array).astype("float32"))
    if len(set(names)) != len(names):
        raise SystemExit("Two cases have the same name.")
    save_npz(
        "layers.npz",
        {
            "names": np.array(names),
            "shapes": np.array(shapes),
            "sizes": np.array([v.size for v in values], "int32"),
            "values": np.concatenate(values),
            "weights": np.array(weights),
        },
    )
    print(len(cases_layers.CASES), "cases")


if __name__ == "__main__":
    main()
