"""Small models that Keras and distkeras build alike; every function takes the module first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .formula import integers, stream, uniform

STEPS = 20


class Batch(NamedTuple):
    """One batch in the form that `train_on_batch` takes."""

    x: Any
    y: Any
    sample_weight: Any = None


class Spec(NamedTuple):
    """A model of the parity tests: how to build and compile it, and its batches."""

    build: Callable
    compile: Callable
    batch: Callable
    batch_size: int


# (a) A multi-layer perceptron with a softmax and sparse labels.


def build_mlp(keras):
    """12 features, two hidden layers, 5 classes."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(12,)),
            layers.Dense(16, activation="relu", name="hidden_1"),
            layers.Dense(16, activation="tanh", name="hidden_2"),
            layers.Dense(5, activation="softmax", name="probabilities"),
        ],
        name="mlp",
    )


def compile_mlp(keras, model):
    """Adam, sparse cross-entropy, accuracy by its short name."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def batch_mlp(name: str, size: int) -> Batch:
    """Labels depend on the features, so that the loss can fall."""
    x = uniform(name + "/x", (size, 12))
    y = np.argmax(x[:, :5] + x[:, 5:10], axis=-1).astype("int32")
    return Batch(x, y)


# (b) A convolutional net with batch normalization.


def build_cnn(keras):
    """10x10 images with 2 channels, 3 classes."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(10, 10, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv_1"),
            layers.MaxPooling2D(2, name="pool"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(6, (2, 3), strides=(1, 2), name="conv_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation="softmax", name="probabilities"),
        ],
        name="cnn",
    )


def compile_cnn(keras, model):
    """SGD with momentum and one-hot labels."""
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.02, momentum=0.9),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2, name="top2")],
    )


def batch_cnn(name: str, size: int) -> Batch:
    """The class is the brightest third of the image."""
    x = uniform(name + "/x", (size, 10, 10, 2))
    thirds = np.stack(
        [x[:, :3].mean((1, 2, 3)), x[:, 3:6].mean((1, 2, 3)), x[:, 6:9].mean((1, 2, 3))]
    )
    return Batch(x, np.eye(3, dtype="float32")[np.argmax(thirds, axis=0)])


# (c) A text classifier: a masked embedding, an LSTM, weighted samples.


def build_text(keras):
    """Up to 9 tokens of a vocabulary of 20; token 0 is padding."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(9,), dtype="int32"),
            layers.Embedding(20, 6, mask_zero=True, name="embedding"),
            layers.LSTM(7, name="lstm"),
            layers.Dense(1, activation="sigmoid", name="probability"),
        ],
        name="text",
    )


def compile_text(keras, model):
    """Adam, binary cross-entropy, one weighted and one plain metric."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.02),
        loss="binary_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[keras.metrics.BinaryAccuracy(name="weighted_accuracy")],
    )


def padded_tokens(name: str, size: int, length: int, vocabulary: int) -> np.ndarray:
    """Return tokens with zeros behind the end of each sequence (at least one token)."""
    tokens = integers(name + "/tokens", (size, length), 1, vocabulary)
    ends = integers(name + "/ends", (size, 1), 1, length + 1)
    return np.where(np.arange(length)[None, :] < ends, tokens, 0).astype("int32")


def batch_text(name: str, size: int) -> Batch:
    """The label says whether the first token is in the upper half; weights lie in [0, 2)."""
    x = padded_tokens(name, size, 9, 20)
    y = (x[:, :1] > 10).astype("float32")
    return Batch(x, y, uniform(name + "/weight", (size,), 0.0, 2.0))


# (d) Two inputs, two outputs, both of them masked sequences.


def build_two_outputs(keras):
    """Tokens (masked by zeros) and values (masked by -9), a shared layer, outputs per step."""
    layers = keras.layers
    tokens = layers.Input(shape=(6,), dtype="int32", name="tokens")
    values = layers.Input(shape=(6, 3), name="values")
    embedded = layers.Embedding(15, 5, mask_zero=True, name="embedding")(tokens)
    masked = layers.Masking(mask_value=-9.0, name="masking")(values)
    mix = layers.Dense(5, activation="tanh", name="mix")
    first = mix(embedded)
    second = mix(layers.Dense(5, activation="relu", name="lift")(masked))
    both = layers.Add(name="both")([first, second])
    tags = layers.Dense(4, activation="softmax", name="tags")(both)
    score = layers.Dense(2, name="score")(second)
    return keras.Model(
        inputs={"tokens": tokens, "values": values},
        outputs={"tags": tags, "score": score},
        name="two_outputs",
    )


def compile_two_outputs(keras, model):
    """A loss, a weight and a metric for each output."""
    model.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate=0.01),
        loss={"tags": "sparse_categorical_crossentropy", "score": "mse"},
        loss_weights={"tags": 0.7, "score": 1.3},
        metrics={"tags": ["accuracy"], "score": ["mae"]},
    )


def batch_two_outputs(name: str, size: int) -> Batch:
    """The two sequences of a sample end at different steps."""
    tokens = padded_tokens(name, size, 6, 15)
    values = uniform(name + "/values", (size, 6, 3))
    ends = integers(name + "/value_ends", (size, 1), 1, 7)
    values[np.arange(6)[None, :] >= ends] = -9.0
    tags = (tokens % 4).astype("int32")
    score = uniform(name + "/score", (size, 6, 2))
    return Batch({"tokens": tokens, "values": values}, {"tags": tags, "score": score})


# (e) Penalties: an L2 weight regularizer, an activity regularizer, layer normalization.


def build_penalties(keras):
    """A regression whose loss has three terms."""
    layers, regularizers = keras.layers, keras.regularizers
    return keras.Sequential(
        [
            layers.Input(shape=(8,)),
            layers.Dense(
                12,
                activation="relu",
                kernel_regularizer=regularizers.L2(0.01),
                activity_regularizer=regularizers.L2(0.003),
                name="hidden",
            ),
            layers.LayerNormalization(name="norm"),
            layers.Dense(
                6,
                activation="tanh",
                kernel_regularizer=regularizers.L1L2(l1=0.002, l2=0.004),
                bias_regularizer="l2",
                name="squeeze",
            ),
            layers.Dense(2, name="value"),
        ],
        name="penalties",
    )


def compile_penalties(keras, model):
    """SGD with Nesterov momentum and mean squared error."""
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.03, momentum=0.8, nesterov=True),
        loss="mean_squared_error",
        metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")],
    )


def batch_penalties(name: str, size: int) -> Batch:
    """Two smooth functions of the features."""
    x = uniform(name + "/x", (size, 8))
    return Batch(x, np.stack([x[:, 0] * x[:, 1], np.sin(2 * x[:, 2])], axis=-1).astype("float32"))


# (f) Recurrent branches between convolution, pooling and merging layers.


def build_branches(keras):
    """Sequences of 10 steps with 3 features, and two values."""
    layers = keras.layers
    inputs = layers.Input(shape=(10, 3), name="sequence")
    x = layers.Conv1D(6, 3, padding="causal", activation="relu", name="conv")(inputs)
    x = layers.MaxPooling1D(2, name="pool")(x)
    gru = layers.GRU(5, return_sequences=True, name="gru")(x)
    rnn = layers.SimpleRNN(5, return_sequences=True, go_backwards=True, name="rnn")(x)
    added = layers.Add(name="add")([gru, rnn])
    product = layers.Multiply(name="multiply")([gru, rnn])
    joined = layers.Concatenate(name="concatenate")([added, product, x])
    pooled = layers.GlobalAveragePooling1D(name="average")(joined)
    peak = layers.GlobalMaxPooling1D(name="peak")(joined)
    outputs = layers.Dense(2, name="value")(layers.Average(name="mean")([pooled, peak]))
    return keras.Model(inputs, outputs, name="branches")


def compile_branches(keras, model):
    """AdamW and a Huber loss."""
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.02),
        loss=keras.losses.Huber(),
        metrics=["mse"],
    )


def batch_branches(name: str, size: int) -> Batch:
    """Sums over the first and the second half of the sequence."""
    x = uniform(name + "/x", (size, 10, 3))
    return Batch(x, np.stack([x[:, :5].mean((1, 2)), x[:, 5:].max((1, 2))], -1).astype("float32"))


SPECS = {
    "mlp": Spec(build_mlp, compile_mlp, batch_mlp, 16),
    "cnn": Spec(build_cnn, compile_cnn, batch_cnn, 8),
    "text": Spec(build_text, compile_text, batch_text, 8),
    "two_outputs": Spec(build_two_outputs, compile_two_outputs, batch_two_outputs, 8),
    "penalties": Spec(build_penalties, compile_penalties, batch_penalties, 8),
    "branches": Spec(build_branches, compile_branches, batch_branches, 8),
}


def step_batch(name: str, step: int) -> Batch:
    """Return the batch of a training step."""
    spec = SPECS[name]
    return spec.batch(f"{name}/step{step}", spec.batch_size)


def dataset(name: str, size: int, part: str) -> Batch:
    """Return a data set of a size that is no multiple of the batch size."""
    return SPECS[name].batch(f"{name}/{part}", size)


def build_compiled(keras, name: str):
    """Return the model, built and compiled."""
    model = SPECS[name].build(keras)
    SPECS[name].compile(keras, model)
    return model


# A small regression for the optimizers.


def build_small(keras):
    """Nothing but two dense layers."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(6,)),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(3, name="value"),
        ],
        name="small",
    )


def batch_small(step: int) -> Batch:
    """A linear map with noise; every fourth batch is ten times larger, so that clipping matters."""
    x = uniform(f"small/x{step}", (8, 6))
    matrix = uniform("small/matrix", (6, 3))
    noise = 0.1 * uniform(f"small/noise{step}", (8, 3))
    return Batch(x, ((x @ matrix + noise) * (10.0 if step % 4 == 3 else 1.0)).astype("float32"))


def build_nested(keras):
    """A model inside a model, shared by two calls; for summaries and files."""
    layers = keras.layers
    inner_in = layers.Input(shape=(4,), name="inner_in")
    hidden = layers.Dense(3, activation="relu", name="inner_dense")(inner_in)
    inner = keras.Model(inner_in, layers.Dropout(0.5, name="inner_drop")(hidden), name="inner")
    left = layers.Input(shape=(4,), name="left")
    right = layers.Input(shape=(4,), name="right")
    joined = layers.Concatenate(name="joined")([inner(left), inner(right)])
    return keras.Model([left, right], layers.Dense(1, name="score")(joined), name="outer")


def reseed(name: str, model) -> None:
    """Load small formula weights into a model (variances stay positive)."""
    random = stream(name + "/weights")
    values = []
    for weight in model.weights:
        value = random.uniform(-0.5, 0.5, size=tuple(int(d) for d in weight.shape))
        values.append(
            (np.abs(value) + 0.5 if "variance" in weight.name else value).astype("float32")
        )
    model.set_weights(values)
