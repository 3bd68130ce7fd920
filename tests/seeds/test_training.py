"""Training and evaluating as tutorials of Keras do."""

import re

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers


@pytest.fixture(autouse=True)
def one_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(5)


def two_classes(count=400):
    """Points and labels (count, 1) of which side of a plane they are on; float64 and int64."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 10))
    return x, (x.sum(axis=1, keepdims=True) > 0).astype(int)


def classifier():
    model = keras.Sequential(
        [
            layers.Dense(64, activation="relu", input_shape=(10,)),
            layers.Dropout(0.1),
            layers.Dense(32, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def test_binary_classification(capsys):
    x, y = two_classes()
    model = classifier()
    history = model.fit(x, y, epochs=10, batch_size=32, validation_split=0.2, verbose=1)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert [len(values) for values in history.history.values()] == [10] * 4
    assert history.history["loss"][-1] < history.history["loss"][0]
    printed = capsys.readouterr().out
    assert "Epoch 10/10" in printed
    assert re.search(r"^10/10 ", printed, re.M)  # 320 of the 400 samples train, 32 in a batch

    loss, accuracy = model.evaluate(x, y)
    assert accuracy > 0.85
    assert loss == pytest.approx(history.history["val_loss"][-1], abs=0.2)
    predictions = model.predict(x[:5])
    assert predictions.shape == (5, 1)
    assert isinstance(predictions, np.ndarray)
    classes = (predictions > 0.5).astype(int)
    assert set(classes.flatten()) <= {0, 1}


def test_validation_data():
    x, y = two_classes()
    model = classifier()
    history = model.fit(x[:300], y[:300], epochs=2, validation_data=(x[300:], y[300:]), verbose=2)
    loss, accuracy = model.evaluate(x[300:], y[300:], verbose=0)
    assert history.history["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert history.history["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-5)


@pytest.mark.parametrize(
    "units, activation, loss, labels, metric",
    [
        (1, "sigmoid", "binary_crossentropy", "column", "accuracy"),
        (3, "softmax", "categorical_crossentropy", "one-hot", "accuracy"),
        (3, "softmax", "sparse_categorical_crossentropy", "integers", "accuracy"),
        (1, "linear", "mse", "floats", "mae"),
        (1, "linear", "mae", "floats", "mse"),
        (1, "linear", "mean_squared_error", "floats", "mae"),
    ],
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", keras.optimizers.Adam, "rmsprop", "adagrad"])
def test_compile_combinations(units, activation, loss, labels, metric, optimizer):
    rng = np.random.default_rng(1)
    x, numbers = rng.random((60, 10)), rng.integers(3, size=60)
    y = {
        "column": numbers[:, None] > 1,
        "one-hot": keras.utils.to_categorical(numbers, 3),
        "integers": numbers,
        "floats": rng.random(60),
    }[labels]
    if not isinstance(optimizer, str):
        optimizer = optimizer(learning_rate=0.001)
    model = keras.Sequential(
        [layers.Dense(8, activation="relu"), layers.Dense(units, activation=activation)]
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=[metric])
    before = model.evaluate(x, y, verbose=0)[0]
    history = model.fit(x, y, epochs=8, batch_size=16, verbose=0)
    assert set(history.history) == {"loss", metric}
    assert model.evaluate(x, y, verbose=0)[0] < before


def test_early_stopping_and_the_best_model():
    from distkeras.callbacks import EarlyStopping, ModelCheckpoint

    x, y = two_classes(200)
    y[160:] = 1 - y[160:]  # validation gets worse while training gets better
    early_stop = EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    checkpoint = ModelCheckpoint("best_model.keras", monitor="val_accuracy", save_best_only=True)
    model = classifier()
    history = model.fit(
        x, y, epochs=100, validation_split=0.2, callbacks=[early_stop, checkpoint], verbose=0
    )
    losses, accuracies = history.history["val_loss"], history.history["val_accuracy"]
    assert len(losses) < 100
    assert int(np.argmin(losses)) == len(losses) - 3
    assert model.evaluate(x[160:], y[160:], verbose=0)[0] == pytest.approx(min(losses), rel=1e-5)
    best = keras.models.load_model("best_model.keras")
    found = best.evaluate(x[160:], y[160:], verbose=0)[1]
    assert found == pytest.approx(max(accuracies), rel=1e-5)


def test_history_can_be_drawn(tmp_path):
    matplotlib = pytest.importorskip("matplotlib", reason="curves are for those who have it")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x, y = two_classes(100)
    history = classifier().fit(x, y, epochs=2, validation_split=0.2, verbose=0)
    plt.figure(figsize=(6, 2))
    for place, name in enumerate(("accuracy", "loss"), start=1):
        plt.subplot(1, 2, place)
        plt.plot(history.history[name], label="Training")
        plt.plot(history.history[f"val_{name}"], label="Validation")
        plt.legend()
    plt.savefig("training_history.png")
    plt.close("all")
    assert (tmp_path / "training_history.png").stat().st_size > 1000


def test_iris_with_one_hot_labels():
    """Arrays as scikit-learn gives them: float64 features, int64 labels, a random split."""
    (x, y), _ = keras.datasets.iris.load_data(test_split=0.0)
    x, y = x.astype("float64"), keras.utils.to_categorical(y.astype("int64"))
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:120], order[120:]
    model = keras.Sequential(
        [
            layers.Dense(32, input_shape=(4,), activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    validation = (x[test], y[test])
    history = model.fit(x[train], y[train], epochs=50, validation_data=validation, verbose=0)
    assert len(history.history["val_accuracy"]) == 50
    assert max(history.history["val_accuracy"]) > 0.8


def test_mnist_from_a_file_and_a_convolutional_net(tmp_path, monkeypatch):
    """The package's digits, enlarged to 28x28, in the place where MNIST is looked for."""
    sets = {}
    for name, (x, y), count in zip(
        ("train", "test"), keras.datasets.digits.load_data(), (600, 100), strict=True
    ):
        large = np.kron(x[:count], np.ones((1, 3, 3))) * (255 / 16)
        sets[f"x_{name}"] = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype("uint8")
        sets[f"y_{name}"] = y[:count]
    np.savez(tmp_path / "mnist.npz", **sets)
    monkeypatch.setenv("DISTKERAS_DATA", str(tmp_path))

    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    assert x_train.shape == (600, 28, 28)
    assert y_train.shape == (600,)
    x_train = x_train.astype("float32") / 255.0
    x_test = x_test.astype("float32") / 255.0
    x_train, x_test = x_train.reshape(-1, 28, 28, 1), x_test.reshape(-1, 28, 28, 1)
    model = keras.Sequential(
        [
            layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    assert model.count_params() == 320 + 18_496 + 102_464 + 650
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=3, batch_size=32, validation_split=0.1, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    assert accuracy > 0.7
    labels = np.argmax(model.predict(x_test[:50], verbose=0), axis=1)
    assert (labels == y_test[:50]).mean() > 0.6
