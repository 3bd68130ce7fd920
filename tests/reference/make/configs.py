"""Configurations, default names, initializers, regularizers, constraints, activations."""

from __future__ import annotations

import keras
import numpy as np
import torch

from .. import cases_configs as cases
from ..formula import uniform
from .common import numpy, save_json, save_npz


def configurations(module, table) -> dict:
    """Return each case's get_config, from fresh default names."""
    found = {}
    for cls, arguments in table:
        keras.utils.clear_session()
        made = getattr(module, cls)(**arguments)
        if isinstance(made, keras.KerasTensor):
            found[cases.key((cls, arguments))] = {"name": made.name}
            continue
        found[cases.key((cls, arguments))] = made.get_config()
    return found


def default_names() -> list:
    """Return names of layers made one after another."""
    keras.utils.clear_session()
    layers = keras.layers
    made = [
        layers.Dense(1),
        layers.Dense(1),
        layers.Conv2D(1, 1),
        layers.BatchNormalization(),
        layers.LSTM(1),
        layers.SimpleRNN(1),
        layers.GRU(1),
        layers.Dense(1),
        layers.MaxPooling2D(),
        layers.MaxPool2D(),
        layers.GlobalAveragePooling2D(),
        layers.UpSampling2D(),
        layers.ReLU(),
        layers.LeakyReLU(),
        layers.InputLayer(shape=(1,)),
        keras.Sequential(),
        keras.Sequential(),
        layers.Add(),
    ]
    names = [m.name for m in made]
    x = layers.Input((2,))
    names += [x.name, keras.Model(x, layers.Dense(1)(x)).name, layers.Input((2,)).name]
    keras.utils.clear_session()
    return [*names, layers.Dense(1).name]


def initializers() -> dict:
    """Return configurations and, over several shapes, minimum, maximum, mean and deviation."""
    found = {}
    for case in cases.INITIALIZERS:
        cls, arguments = case
        entry = {"config": getattr(keras.initializers, cls)(**arguments).get_config()}
        if cls not in ("Identity", "Orthogonal"):
            for shape in cases.FANS:
                draws = np.concatenate(
                    [
                        numpy(getattr(keras.initializers, cls)(**arguments, **seed)(shape)).ravel()
                        for seed in seeds(cls)
                    ]
                )
                entry[",".join(map(str, shape))] = [
                    float(f"{v:.5g}")
                    for v in (draws.min(), draws.max(), draws.mean(), draws.std(), draws.size)
                ]
        found[cases.key(case)] = entry
    return found


def seeds(cls):
    """Return the seed arguments of some draws."""
    return [{}] if cls in ("Zeros", "Ones", "Constant") else [{"seed": i} for i in range(20)]


def regularizers() -> dict:
    """Return configurations and values."""
    found = {}
    for case in cases.REGULARIZERS:
        made = getattr(keras.regularizers, case[0])(**case[1])
        found[cases.key(case)] = {
            "config": made.get_config(),
            "value": float(made(keras.ops.convert_to_tensor(uniform("regularized", (4, 3))))),
        }
    return found


def constraints() -> dict:
    """Return configurations and values."""
    found = {}
    for case in cases.CONSTRAINTS:
        made = getattr(keras.constraints, case[0])(**case[1])
        value = numpy(made(keras.ops.convert_to_tensor(uniform("constrained", (4, 3)))))
        found[cases.key(case)] = {
            "config": made.get_config(),
            "value": [float(f"{v:.8g}") for v in value.ravel()],
        }
    return found


def activations() -> dict:
    """Return values on a grid, and the gradient of a fixed weighted sum."""
    arrays = {}
    table = {name: (name, {}) for name in cases.ACTIVATIONS} | cases.ACTIVATION_ARGUMENTS
    for key, (name, arguments) in table.items():
        if name == "threshold" and not arguments:
            continue
        x = torch.tensor(cases.activation_grid(), requires_grad=True)
        y = getattr(keras.activations, name)(x, **arguments)
        (y * torch.tensor(uniform("activation cotangent", tuple(y.shape)))).sum().backward()
        arrays[key + "/value"] = y.detach().numpy().ravel()
        arrays[key + "/gradient"] = x.grad.numpy().ravel()
    names = list(arrays)
    return {
        "names": np.array(names),
        "sizes": np.array([arrays[n].size for n in names]),
        "values": np.concatenate([arrays[n] for n in names]),
    }


def serialized() -> dict:
    """Return what the serializers of objects and functions give."""
    keras.utils.clear_session()
    return {
        "layer": keras.layers.serialize(keras.layers.Dense(2, activation="relu")),
        "optimizer": keras.optimizers.serialize(keras.optimizers.Adam()),
        "loss": keras.losses.serialize(keras.losses.MeanSquaredError()),
        "loss function": keras.losses.serialize(keras.losses.mean_squared_error),
        "metric": keras.metrics.serialize(keras.metrics.AUC(num_thresholds=3)),
        "activation": keras.activations.serialize(keras.activations.relu),
        "initializer": keras.initializers.serialize(keras.initializers.HeNormal(seed=1)),
        "regularizer": keras.regularizers.serialize(keras.regularizers.L2(0.5)),
        "constraint": keras.constraints.serialize(keras.constraints.NonNeg()),
    }


def main() -> None:
    """Write configs.json and activations.npz."""
    save_json(
        "configs.json",
        {
            "layers": configurations(keras.layers, cases.LAYERS),
            "optimizers": configurations(keras.optimizers, cases.OPTIMIZERS),
            "schedules": configurations(keras.optimizers.schedules, cases.SCHEDULES),
            "losses": configurations(keras.losses, cases.LOSSES),
            "metrics": configurations(keras.metrics, cases.METRICS),
            "default_names": default_names(),
            "initializers": initializers(),
            "regularizers": regularizers(),
            "constraints": constraints(),
            "serialized": serialized(),
        },
    )
    save_npz("activations.npz", activations())


if __name__ == "__main__":
    main()
