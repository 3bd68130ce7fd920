"""`fit` and its relatives in one process. Expected numbers are those of Keras 3.15.1."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import ArgumentError, DataError, NotCompiledError

X = np.linspace(0, 1, 24, dtype="float32").reshape(8, 3)
Y = X.sum(1, keepdims=True)
SETTINGS = {"batch_size": 4, "shuffle": False, "verbose": 0}


def close(value):
    return pytest.approx(value, rel=1e-4)


def initialized(model):
    weights = [np.linspace(-0.5, 0.5, w.size).reshape(w.shape) for w in model.get_weights()]
    model.set_weights([w.astype("float32") for w in weights])
    return model


def one(**settings):
    model = initialized(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    model.compile(**{"optimizer": "sgd", "loss": "mse", "metrics": ["mae"], **settings})
    return model


def functional(cls=keras.Model, layer=None):
    inputs = keras.Input((3,))
    return initialized(cls(inputs, (layer or keras.layers.Dense(1))(inputs)))


def assert_history(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name] == close(values), name


def test_history_of_two_outputs():
    inputs = keras.Input((3,))
    a = keras.layers.Dense(1, name="a")(inputs)
    b = keras.layers.Dense(2, name="b", activation="softmax")(inputs)
    model = initialized(keras.Model(inputs, [a, b]))
    model.compile(
        "sgd",
        ["mse", "sparse_categorical_crossentropy"],
        metrics=[["mae"], ["accuracy"]],
        weighted_metrics=[["mse"], []],
        loss_weights=[1.0, 0.5],
    )
    y = [Y, np.arange(8) % 2]
    history = model.fit(
        X,
        y,
        epochs=2,
        sample_weight=[np.arange(8.0), np.ones(8)],
        validation_data=(X, y),
        **SETTINGS,
    )
    expected = {
        "a_loss": [22.94192123413086, 9.88696002960205],
        "a_mae": [1.9151020050048828, 1.1914222240447998],
        "a_mse": [6.554834842681885, 2.824845790863037],
        "b_accuracy": [0.5, 0.5],
        "b_loss": [0.8736502528190613, 0.8712003231048584],
        "loss": [23.378746032714844, 10.32256031036377],
        "val_a_loss": [1.9164315462112427, 0.7928106784820557],
        "val_a_mae": [1.215836524963379, 0.7424874305725098],
        "val_a_mse": [1.9164315462112427, 0.7928106784820557],
        "val_b_accuracy": [0.5, 0.5],
        "val_b_loss": [0.8716930150985718, 0.869266152381897],
        "val_loss": [2.352277994155884, 1.2274436950683594],
    }
    assert_history(history.history, expected)
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 2}
    # The loss, losses of outputs, metrics by name: Keras's order.
    values = [1.2274437, 0.7928107, 0.8692662, 0.7424874, 0.7928107, 0.5]
    assert model.evaluate(X, y, verbose=0) == close(values)
    named = model.evaluate(X, y, verbose=0, return_dict=True)
    assert list(named) == ["a_loss", "a_mae", "a_mse", "b_accuracy", "b_loss", "loss"]


def test_one_weight_for_all_outputs():
    inputs = keras.Input((3,))
    a, b = (keras.layers.Dense(n, name=name)(inputs) for n, name in ((1, "a"), (2, "b")))
    model = initialized(keras.Model(inputs, [a, b]))
    model.compile("sgd", "mse")
    y, weight = [Y, np.zeros((8, 2))], np.arange(8.0)
    once = model.test_on_batch(X, y, sample_weight=weight)
    assert once == close(model.test_on_batch(X, y, sample_weight=[weight, weight]))
    with pytest.raises(DataError, match="one number for each sample"):
        model.test_on_batch(X, y, sample_weight=np.ones((8, 2)))
    with pytest.raises(DataError, match="got 1 for 2 outputs"):
        model.test_on_batch(X, y, sample_weight=[weight])


def test_fit_twice_goes_on():
    whole = one()
    expected = whole.fit(X, Y, epochs=4, **SETTINGS).history["loss"]
    model = one()
    first = model.fit(X, Y, epochs=2, **SETTINGS)
    second = model.fit(X, Y, epochs=4, initial_epoch=2, **SETTINGS)
    assert first.history["loss"] + second.history["loss"] == close(expected)
    assert (first.epoch, second.epoch) == ([0, 1], [2, 3])
    assert model.history is second
    assert int(model.optimizer.iterations) == 8


def test_single_batches_have_metrics_of_their_own():
    model = one()
    model.fit(X, Y, **SETTINGS)
    tested = model.test_on_batch(X, Y)
    assert model.train_on_batch(X, Y, return_dict=True) == close(
        dict(zip(("loss", "mae"), tested, strict=True))
    )
    assert model.test_on_batch(X, Y)[0] < tested[0]


class AsInTheGuide(keras.Model):
    """Metrics and steps of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.loss_tracker.update_state(loss)
        self.mae_metric.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(self.compute_loss(y=y, y_pred=y_pred))
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    @property
    def metrics(self):
        return [self.loss_tracker, self.mae_metric]


def test_steps_and_metrics_of_ones_own():
    plain, model = one(), functional(AsInTheGuide)
    model.compile("sgd", "mse")
    settings = {**SETTINGS, "epochs": 2, "validation_data": (X, Y)}
    assert_history(model.fit(X, Y, **settings).history, plain.fit(X, Y, **settings).history)
    assert model.evaluate(X, Y, verbose=0) == close(plain.evaluate(X, Y, verbose=0))


def test_overridden_losses_and_metrics():
    class Overrides(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return keras.ops.mean(keras.ops.square(y - y_pred)) * 2.0

        def compute_metrics(self, x, y, y_pred, sample_weight):
            results = super().compute_metrics(x, y, y_pred, sample_weight)
            results["extra"] = keras.ops.convert_to_tensor(7.0)
            return results

    model = functional(Overrides)
    model.compile("sgd", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, **SETTINGS).history
    assert list(history) == ["extra", "loss", "mae"]
    assert history["loss"] == close([8.834105491638184, 6.496209144592285])
    assert history["extra"] == [7.0, 7.0]
    assert len(model.evaluate(X, Y, verbose=0)) == 3


def test_logs_under_names_of_ones_own():
    class Names(keras.Model):
        def train_step(self, data):
            x, y = data
            y_pred = self(x, training=True)
            return {"mine": self.compute_loss(x, y, y_pred), "b": keras.ops.mean(y_pred)}

    model = functional(Names)
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, **SETTINGS).history
    assert list(history) == ["b", "mine"]
    assert history["mine"] == close([7.694234848022461] * 2)  # of the last step


@pytest.mark.parametrize("result", [None, 1.0, [("loss", 1.0)]])
def test_a_step_must_return_a_dict(result):
    class Wrong(keras.Model):
        def train_step(self, data):
            return result

    model = functional(Wrong)
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="A step must return a dict of name -> value"):
        model.fit(X, Y, **SETTINGS)


def test_stop_training_ends_the_epoch():
    class Stop(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append((batch, list(logs)))
            self.model.stop_training = True

    stop, model = Stop(), one()
    history = model.fit(X, Y, epochs=3, callbacks=[stop], **SETTINGS)
    assert stop.seen == [(0, ["loss", "mae"])]
    assert history.epoch == [0]
    assert model.stop_training
    model.fit(X, Y, **SETTINGS)
    assert not model.stop_training


@pytest.mark.parametrize("call, flag", [("evaluate", "evaluating"), ("predict", "predicting")])
def test_evaluate_and_predict_can_be_stopped(call, flag):
    kind = {"evaluate": "test", "predict": "predict"}[call]
    seen = []

    def stop(batch, logs):
        seen.append(batch)
        setattr(model, f"stop_{flag}", True)

    model = one()
    callback = keras.callbacks.LambdaCallback(**{f"on_{kind}_batch_end": stop})
    data = (X, Y) if call == "evaluate" else (X,)
    getattr(model, call)(*data, batch_size=2, verbose=0, callbacks=[callback])
    assert seen == [0]


def test_results_that_are_kept_stay():
    kept = []
    model = one()
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(logs))
    model.fit(X, Y, batch_size=2, shuffle=False, verbose=0, callbacks=[note])
    read = []
    model = one()
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: read.append(logs["loss"])
    )
    model.fit(X, Y, batch_size=2, shuffle=False, verbose=0, callbacks=[note])
    assert [logs["loss"] for logs in kept] == close(read)
    assert len(set(read)) == 4


def test_results_that_nobody_reads_are_not_computed():
    class Counts(keras.metrics.Mean):
        computed = 0

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred)

        def result(self):
            Counts.computed += 1
            return super().result()

    one(metrics=[Counts()]).fit(X, Y, batch_size=1, shuffle=False, verbose=0)
    assert 1 <= Counts.computed <= 2


def test_a_model_whose_call_looks_at_values():
    class Looks(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x * 2 if float(keras.ops.sum(x)) > 1 else x)

    model = Looks()
    model.compile("sgd", "mse", metrics=["mae"])
    assert sorted(model.fit(X, Y, **SETTINGS).history) == ["loss", "mae"]


def test_unbuilt_models_are_built_by_the_first_call():
    for call in ("fit", "evaluate", "train_on_batch"):
        model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
        getattr(model, call)(X, Y, **({} if call == "train_on_batch" else {"verbose": 0}))
        assert model.built
        assert len(model.weights) == 4
    model = keras.Sequential([keras.layers.Dense(2)])
    assert model.predict(X, verbose=0).shape == (8, 2)


def test_predict_keeps_order_and_structure():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, {"a": inputs * 2, "b": [inputs[:, :1], inputs]})
    found = model.predict(X, batch_size=3, verbose=0)
    np.testing.assert_array_equal(found["a"], 2 * X)
    np.testing.assert_array_equal(found["b"][0], X[:, :1])
    assert isinstance(model.predict_on_batch(X)["b"][1], np.ndarray)


def test_positional_arguments():
    model = one()
    expected = model.evaluate(X, Y, sample_weight=np.arange(8.0), batch_size=4, verbose=0)
    assert model.evaluate(X, Y, 4, 0, np.arange(8.0)) == close(expected)
    assert len(model.fit(X, Y, 4, 2, 0).history["loss"]) == 2
    assert model.predict(X, 4, 0).shape == (8, 1)


def test_no_epochs_no_weights_no_optimizer():
    model = one()
    assert model.fit(X, Y, epochs=0, **SETTINGS).history == {}
    frozen = functional(layer=keras.layers.Dense(1, trainable=False))
    frozen.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        frozen.fit(X, Y, **SETTINGS)
    model = one(optimizer=None)
    assert len(model.evaluate(X, Y, verbose=0)) == 2
    with pytest.raises(ArgumentError, match="compile it with an optimizer"):
        model.fit(X, Y, **SETTINGS)


def test_before_compile():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    for call in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(NotCompiledError, match="You must call `compile\\(\\)` before"):
            getattr(model, call)(X, Y)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"steps_per_execution": 0}, "`steps_per_execution` must be a positive integer"),
        ({"jit_compile": "yes"}, "`jit_compile` must be True, False or 'auto'"),
        ({"optimizer": "downhill"}, "downhill"),
        ({"loss": "squares"}, "squares"),
        ({"metrics": ["squares"]}, "squares"),
        ({"metrics": "mae"}, "to be a list, tuple, or dict"),
    ],
)
def test_wrong_arguments_of_compile(settings, message):
    with pytest.raises(ValueError, match=message):
        one(**settings).fit(X, Y, **SETTINGS)


def test_run_eagerly_and_jit_compile_exclude_each_other():
    with pytest.warns(UserWarning, match="Disabling `jit_compile`"):
        model = one(run_eagerly=True, jit_compile=True)
    assert model.run_eagerly
    assert model.jit_compile is False
    assert one(steps_per_execution=4).fit(X, Y, **SETTINGS).params["steps"] == 2
