"""Layers whose outputs and gradients are compared with Keras: one line each.

A case is (class, constructor arguments, input kind[, call options]). Call options: `training`,
`mask` (a boolean array), `initial_state` (whether states are passed), `calls` (how often it is
called; the last call counts).
"""

from __future__ import annotations

import numpy as np

from .formula import distinct, integers, uniform

MASK = np.array([[1, 1, 1, 1, 0, 0], [1, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]], dtype=bool)

# kind: the inputs of the layer (lists are several inputs)
INPUTS = {
    "vectors": lambda: uniform("x", (3, 5)),
    "sequence": lambda: distinct("x", (3, 6, 4)),
    "sequence_first": lambda: distinct("x", (3, 4, 6)),
    "long": lambda: distinct("x", (2, 11, 4)),
    "long_first": lambda: distinct("x", (2, 4, 11)),
    "image": lambda: distinct("x", (2, 6, 7, 4)),
    "image_first": lambda: distinct("x", (2, 4, 6, 7)),
    "volume": lambda: distinct("x", (2, 2, 3, 2, 3)),
    "tokens": lambda: integers("x", (3, 6), 0, 9),
    "matrix_tokens": lambda: integers("x", (2, 3, 2), 0, 9),
    "bytes": lambda: integers("x", (2, 3, 3, 1), 0, 256).astype("uint8"),
    "two": lambda: [uniform("x0", (3, 5)), uniform("x1", (3, 5))],
    "three": lambda: [uniform(f"x{i}", (3, 5)) for i in range(3)],
    "broadcast": lambda: [uniform("x0", (3, 4, 5)), uniform("x1", (3, 1, 5))],
    "broadcast_rank": lambda: [uniform("x0", (3, 4, 5)), uniform("x1", (3, 5))],
    "sequences": lambda: [uniform("x0", (3, 4, 5)), uniform("x1", (3, 2, 5))],
    "images": lambda: [uniform("x0", (2, 3, 3, 2)), uniform("x1", (2, 3, 3, 4))],
}

CASES = [
    # Dense
    ("Dense", {"units": 4}, "vectors"),
    ("Dense", {"units": 4, "use_bias": False, "activation": "relu"}, "vectors"),
    ("Dense", {"units": 3, "activation": "softmax"}, "sequence"),
    ("Dense", {"units": 3, "activation": "gelu"}, "image"),
    # Activation, shapes, scale
    ("Activation", {"activation": "sigmoid"}, "sequence"),
    ("Activation", {"activation": "softmax"}, "sequence"),
    ("ReLU", {}, "sequence"),
    ("ReLU", {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}, "sequence"),
    ("LeakyReLU", {}, "sequence"),
    ("LeakyReLU", {"negative_slope": 0.1}, "sequence"),
    ("ELU", {"alpha": 0.7}, "sequence"),
    ("Softmax", {"axis": 1}, "sequence"),
    ("Dropout", {"rate": 0.4}, "vectors"),
    ("Dropout", {"rate": 0.4}, "vectors", {"training": False}),
    ("Flatten", {}, "image"),
    ("Flatten", {"data_format": "channels_first"}, "image_first"),
    ("Flatten", {}, "vectors"),
    ("Reshape", {"target_shape": (4, 6)}, "sequence"),
    ("Reshape", {"target_shape": (2, -1, 2)}, "sequence"),
    ("Permute", {"dims": (2, 1)}, "sequence"),
    ("RepeatVector", {"n": 3}, "vectors"),
    ("Rescaling", {"scale": 1 / 255.0}, "bytes"),
    ("Rescaling", {"scale": 2.0, "offset": -1.0}, "image"),
    ("Rescaling", {"scale": [1.0, 2.0, 3.0, 4.0], "offset": [0.0, 1.0, 0.0, -1.0]}, "image"),
    ("Masking", {"mask_value": 0.0}, "sequence"),
    # Conv1D
    ("Conv1D", {"filters": 3, "kernel_size": 3}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 1, "use_bias": False}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 4, "padding": "same", "activation": "tanh"}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 2, "strides": 3}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal"}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 2}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "same", "dilation_rate": 3}, "long"),
    ("Conv1D", {"filters": 6, "kernel_size": 3, "groups": 2}, "long"),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "groups": 4, "padding": "same"}, "long"),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "data_format": "channels_first"}, "long_first"),
    (
        "Conv1D",
        {
            "filters": 4,
            "kernel_size": 4,
            "groups": 2,
            "padding": "same",
            "strides": 2,
            "data_format": "channels_first",
        },
        "long_first",
    ),
    # Conv2D
    ("Conv2D", {"filters": 3, "kernel_size": 3}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 1}, "image"),
    (
        "Conv2D",
        {"filters": 3, "kernel_size": (2, 3), "padding": "same", "activation": "relu"},
        "image",
    ),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 4, "strides": (3, 2), "padding": "same"}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "strides": (2, 3)}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 1, "strides": 2}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "strides": 3, "padding": "same"}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "dilation_rate": (2, 3)}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, "image"),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "use_bias": False}, "image"),
    ("Conv2D", {"filters": 8, "kernel_size": 3, "groups": 4, "padding": "same"}, "image"),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "data_format": "channels_first"}, "image_first"),
    (
        "Conv2D",
        {
            "filters": 4,
            "kernel_size": (3, 2),
            "groups": 2,
            "strides": 2,
            "padding": "same",
            "data_format": "channels_first",
        },
        "image_first",
    ),
    # Pooling
    ("MaxPooling1D", {"pool_size": 2}, "long"),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, "long"),
    ("MaxPooling1D", {"pool_size": 2, "strides": 3}, "long"),
    ("MaxPooling1D", {"pool_size": 3, "strides": 1, "data_format": "channels_first"}, "long_first"),
    ("AveragePooling1D", {"pool_size": 2}, "long"),
    ("AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, "long"),
    ("AveragePooling1D", {"pool_size": 4, "strides": 3, "padding": "same"}, "long"),
    ("AveragePooling1D", {"pool_size": 3, "data_format": "channels_first"}, "long_first"),
    ("MaxPooling2D", {"pool_size": 2}, "image"),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, "image"),
    ("MaxPooling2D", {"pool_size": (2, 3), "strides": (1, 2)}, "image"),
    ("MaxPooling2D", {"pool_size": 2, "strides": 3, "padding": "same"}, "image"),
    ("MaxPooling2D", {"pool_size": 2, "data_format": "channels_first"}, "image_first"),
    ("AveragePooling2D", {"pool_size": 2}, "image"),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, "image"),
    ("AveragePooling2D", {"pool_size": (2, 3), "strides": (1, 2)}, "image"),
    ("AveragePooling2D", {"pool_size": (3, 2), "strides": 1, "padding": "same"}, "image"),
    (
        "AveragePooling2D",
        {"pool_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"},
        "image_first",
    ),
    *[
        (cls, arguments, kind)
        for cls, last, first in (
            ("GlobalAveragePooling1D", "long", "long_first"),
            ("GlobalMaxPooling1D", "long", "long_first"),
            ("GlobalAveragePooling2D", "image", "image_first"),
            ("GlobalMaxPooling2D", "image", "image_first"),
        )
        for arguments, kind in (
            ({}, last),
            ({"keepdims": True}, last),
            ({"data_format": "channels_first"}, first),
            ({"data_format": "channels_first", "keepdims": True}, first),
        )
    ],
    ("GlobalAveragePooling1D", {}, "sequence", {"mask": MASK}),
    # Up-sampling, padding, cropping
    ("UpSampling2D", {}, "image"),
    ("UpSampling2D", {"size": (2, 3), "data_format": "channels_first"}, "image_first"),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, "image"),
    ("UpSampling2D", {"interpolation": "bilinear", "data_format": "channels_first"}, "image_first"),
    ("UpSampling1D", {"size": 3}, "sequence"),
    ("ZeroPadding1D", {"padding": (1, 2)}, "sequence"),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 1))}, "image"),
    ("Cropping1D", {"cropping": (1, 2)}, "sequence"),
    ("Cropping2D", {"cropping": ((1, 0), (2, 1))}, "image"),
    # Normalization
    ("BatchNormalization", {}, "vectors", {"training": True}),
    ("BatchNormalization", {}, "vectors", {"training": False}),
    ("BatchNormalization", {}, "image", {"training": True}),
    ("BatchNormalization", {"axis": 1, "momentum": 0.9}, "image_first", {"training": True}),
    ("BatchNormalization", {"axis": 2, "epsilon": 0.1}, "image", {"training": True}),
    ("BatchNormalization", {"center": False}, "image", {"training": True}),
    ("BatchNormalization", {"scale": False, "momentum": 0.5}, "image", {"training": True}),
    ("BatchNormalization", {"scale": False, "center": False}, "image", {"training": False}),
    ("BatchNormalization", {}, "sequence", {"training": True, "mask": MASK}),
    ("BatchNormalization", {}, "image", {"training": True, "calls": 3}),
    ("LayerNormalization", {}, "vectors"),
    ("LayerNormalization", {"epsilon": 0.1}, "sequence"),
    ("LayerNormalization", {"axis": 1}, "sequence"),
    ("LayerNormalization", {"axis": (1, 2)}, "sequence"),
    ("LayerNormalization", {"axis": [1, 2, 3]}, "image"),
    ("LayerNormalization", {"center": False}, "sequence"),
    ("LayerNormalization", {"scale": False, "center": False}, "sequence"),
    # Embedding
    ("Embedding", {"input_dim": 9, "output_dim": 3}, "tokens"),
    ("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True}, "matrix_tokens"),
    # Recurrent layers
    *[
        (cls, {"units": 5, **arguments}, "sequence", options)
        for cls in ("SimpleRNN", "LSTM", "GRU")
        for arguments, options in (
            ({}, {}),
            ({"return_sequences": True}, {}),
            ({"return_state": True}, {}),
            ({"return_sequences": True, "return_state": True}, {}),
            ({"go_backwards": True, "return_sequences": True}, {}),
            ({"go_backwards": True}, {"mask": MASK}),
            ({"use_bias": False, "activation": "relu"}, {}),
            ({"return_sequences": True, "return_state": True}, {"mask": MASK}),
            ({"return_sequences": True, "zero_output_for_mask": True}, {"mask": MASK}),
            ({"unroll": True}, {"mask": MASK}),
            ({"unroll": True, "return_sequences": True}, {}),
            ({}, {"initial_state": True}),
            ({"return_state": True}, {"initial_state": True, "mask": MASK}),
            ({"stateful": True}, {"calls": 2}),
            ({"dropout": 0.3, "recurrent_dropout": 0.2}, {"training": False}),
        )
    ],
    ("LSTM", {"units": 5, "unit_forget_bias": False}, "sequence"),
    ("LSTM", {"units": 5, "recurrent_activation": "hard_sigmoid"}, "sequence"),
    ("GRU", {"units": 5, "reset_after": False}, "sequence"),
    (
        "GRU",
        {"units": 5, "reset_after": False, "return_sequences": True},
        "sequence",
        {"mask": MASK},
    ),
    ("GRU", {"units": 5, "reset_after": False, "use_bias": False}, "sequence"),
    ("GRU", {"units": 5, "use_bias": False}, "sequence"),
    # Merging layers
    *[
        (cls, {}, kind)
        for cls in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
        for kind in ("two", "three", "broadcast", "broadcast_rank")
        if (cls, kind) != ("Subtract", "three")
    ],
    ("Concatenate", {}, "three"),
    ("Concatenate", {"axis": 1}, "sequences"),
    ("Concatenate", {"axis": -1}, "images"),
    ("Concatenate", {"axis": 3}, "images"),
    ("Dot", {"axes": 1}, "two"),
    ("Dot", {"axes": 1, "normalize": True}, "two"),
    ("Dot", {"axes": (2, 2)}, "sequences"),
]


def parts(case) -> tuple[str, dict, str, dict]:
    """Return a case's class, arguments, kind of inputs and options."""
    return (*case, {})[:4] if len(case) == 3 else case


def key(case) -> str:
    """Return the name of a case."""
    cls, arguments, kind, options = parts(case)
    text = ",".join(f"{k}={v}" for k, v in arguments.items())
    flags = "".join(f" {k}" if k == "mask" else f" {k}={v}" for k, v in options.items())
    return f"{cls}({text})/{kind}{flags}"


def build(keras, case):
    """Return the layer of a case."""
    cls, arguments, _, _ = parts(case)
    arguments = dict(arguments)
    if cls == "Dropout" and not parts(case)[3]:
        arguments["rate"] = 0.0
    return getattr(keras.layers, cls)(**arguments)


def states(case, dtype="float32") -> list:
    """Return the initial states of a recurrent case."""
    cls, arguments, kind, options = parts(case)
    if not options.get("initial_state"):
        return []
    batch = INPUTS[kind]().shape[0]
    count = 2 if cls == "LSTM" else 1
    return [uniform(f"s{i}", (batch, arguments["units"])).astype(dtype) for i in range(count)]


def cotangent(index: int, shape) -> np.ndarray:
    """Return the weights of the sum whose gradient is compared."""
    return uniform(f"cotangent{index}", shape)
