"""Small models to save."""

import numpy as np
import pytest

import distkeras as keras


class Branch(keras.layers.Layer):
    """A layer of layers, some of them in containers."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.stages = [
            keras.layers.Dense(units),
            keras.layers.Dense(units),
            [keras.layers.Dense(2)],
        ]
        self.table = {"b": keras.layers.Dense(3), "a": keras.layers.Dense(4)}
        self._hidden = keras.layers.Dense(5)

    def call(self, inputs):
        x = inputs
        for layer in (*self.stages[:2], *self.stages[2], *self.table.values(), self._hidden):
            x = layer(x)
        return x

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Custom(keras.Model):
    """A subclassed model."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.branch = Branch(units)
        self.inner = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
        self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

    def call(self, inputs):
        return self.inner(self.branch(inputs)) * self.scale

    def get_config(self):
        return {"units": self.units, "name": self.name}


def sequential():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)]
    )


def functional():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = keras.layers.Dense(3, name="shared")
    hidden = keras.layers.Dense(2, name="hidden")(shared(a))
    return keras.Model([a, b], {"x": hidden, "y": shared(b)})


def nested():
    x = keras.Input((4,))
    return keras.Model(x, sequential()(keras.layers.Dense(4)(x)))


def custom():
    model = Custom()
    model(np.ones((2, 4), "float32"))
    return model


MODELS = {"sequential": sequential, "functional": functional, "nested": nested, "custom": custom}


def inputs_of(name):
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4)
    return [x, x[::-1].copy()] if name == "functional" else x


def outputs(model, name):
    """What a model makes of fixed inputs, as flat arrays."""
    found = model(inputs_of(name))
    found = found if isinstance(found, dict) else {"": found}
    return {key: np.asarray(value) for key, value in found.items()}


@pytest.fixture(params=list(MODELS))
def named_model(request):
    return request.param, MODELS[request.param]()
