"""Objects whose configuration, default name and values are compared with Keras."""

from __future__ import annotations

LAYERS = [
    ("Input", {"shape": (4,)}),
    ("InputLayer", {"shape": (4, 2), "batch_size": 3, "dtype": "int32", "name": "tokens"}),
    ("Dense", {"units": 3}),
    ("Dense", {"units": 3, "activation": "relu", "use_bias": False, "kernel_regularizer": "l2"}),
    ("Activation", {"activation": "relu"}),
    ("Dropout", {"rate": 0.5}),
    ("Flatten", {}),
    ("Reshape", {"target_shape": (2, 3)}),
    ("Permute", {"dims": (2, 1)}),
    ("RepeatVector", {"n": 2}),
    ("Masking", {}),
    ("Rescaling", {"scale": 0.5}),
    ("Conv1D", {"filters": 2, "kernel_size": 3}),
    ("Conv2D", {"filters": 2, "kernel_size": 3, "padding": "same", "activation": "relu"}),
    ("MaxPooling1D", {}),
    ("MaxPooling2D", {}),
    ("AveragePooling1D", {"pool_size": 3}),
    ("AveragePooling2D", {"pool_size": (2, 3), "padding": "same"}),
    ("GlobalMaxPooling1D", {}),
    ("GlobalMaxPooling2D", {}),
    ("GlobalAveragePooling1D", {"keepdims": True}),
    ("GlobalAveragePooling2D", {}),
    ("UpSampling2D", {}),
    ("BatchNormalization", {}),
    ("LayerNormalization", {}),
    ("Embedding", {"input_dim": 5, "output_dim": 2}),
    ("SimpleRNN", {"units": 2}),
    ("LSTM", {"units": 2}),
    ("GRU", {"units": 2, "return_sequences": True}),
    ("Add", {}),
    ("Subtract", {}),
    ("Multiply", {}),
    ("Average", {}),
    ("Maximum", {}),
    ("Minimum", {}),
    ("Concatenate", {}),
    ("Dot", {"axes": 1}),
    ("ReLU", {}),
    ("LeakyReLU", {}),
    ("ELU", {}),
    ("Softmax", {}),
]

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "clipnorm": 1.0}),
    ("Adam", {}),
    ("AdamW", {}),
    ("RMSprop", {}),
    ("Adagrad", {}),
    ("Adam", {"use_ema": True, "gradient_accumulation_steps": 2, "weight_decay": 0.01}),
]

SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.9}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 5}),
    ("PiecewiseConstantDecay", {"boundaries": [1, 2], "values": [0.3, 0.2, 0.1]}),
]

LOSSES = [
    ("MeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("MeanAbsolutePercentageError", {}),
    ("MeanSquaredLogarithmicError", {}),
    ("BinaryCrossentropy", {}),
    ("BinaryFocalCrossentropy", {}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}),
    ("CategoricalFocalCrossentropy", {}),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 3}),
    ("KLDivergence", {}),
    ("Poisson", {}),
    ("Huber", {}),
    ("LogCosh", {}),
    ("Hinge", {}),
    ("SquaredHinge", {}),
    ("CategoricalHinge", {}),
    ("CosineSimilarity", {}),
    ("Dice", {}),
    ("Tversky", {}),
]

METRICS = [
    ("Mean", {}),
    ("Sum", {}),
    ("Accuracy", {}),
    ("BinaryAccuracy", {}),
    ("CategoricalAccuracy", {}),
    ("SparseCategoricalAccuracy", {}),
    ("TopKCategoricalAccuracy", {}),
    ("SparseTopKCategoricalAccuracy", {}),
    ("MeanSquaredError", {}),
    ("RootMeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("MeanAbsolutePercentageError", {}),
    ("MeanSquaredLogarithmicError", {}),
    ("CosineSimilarity", {}),
    ("LogCoshError", {}),
    ("R2Score", {}),
    ("Precision", {}),
    ("Recall", {}),
    ("AUC", {}),
    ("TruePositives", {}),
    ("FalsePositives", {}),
    ("TrueNegatives", {}),
    ("FalseNegatives", {}),
    ("F1Score", {}),
    ("FBetaScore", {}),
    ("MeanIoU", {"num_classes": 2}),
    ("BinaryCrossentropy", {}),
    ("CategoricalCrossentropy", {}),
    ("SparseCategoricalCrossentropy", {}),
    ("KLDivergence", {}),
    ("Poisson", {}),
    ("Hinge", {}),
    ("SquaredHinge", {}),
    ("CategoricalHinge", {}),
]

# Deterministic initializers have their values compared, the others their support and moments.
INITIALIZERS = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 0.5}),
    ("Identity", {"gain": 2.0}),
    ("RandomNormal", {}),
    ("RandomUniform", {}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 0.5}),
    ("GlorotUniform", {}),
    ("GlorotNormal", {}),
    ("HeUniform", {}),
    ("HeNormal", {}),
    ("LecunUniform", {}),
    ("LecunNormal", {}),
    ("VarianceScaling", {}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform"}),
    ("VarianceScaling", {"scale": 0.5, "mode": "fan_out", "distribution": "untruncated_normal"}),
    ("Orthogonal", {}),
]

FANS = [(7,), (40, 60), (3, 20, 30), (3, 3, 16, 24), (2, 3, 4, 5, 6)]

REGULARIZERS = [
    ("L1", {"l1": 0.02}),
    ("L2", {"l2": 0.03}),
    ("L1L2", {"l1": 0.01, "l2": 0.02}),
    ("OrthogonalRegularizer", {"factor": 0.1}),
    ("OrthogonalRegularizer", {"factor": 0.1, "mode": "columns"}),
]

CONSTRAINTS = [
    ("MaxNorm", {"max_value": 1.0}),
    ("MaxNorm", {"max_value": 0.7, "axis": 1}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("MinMaxNorm", {"min_value": 0.6, "max_value": 0.9, "rate": 0.5}),
]

ACTIVATIONS = (
    "linear relu relu6 leaky_relu elu selu celu gelu sigmoid hard_sigmoid log_sigmoid tanh "
    "tanh_shrink hard_tanh softplus softsign silu hard_silu exponential mish softmax log_softmax "
    "squareplus soft_shrink hard_shrink threshold sparse_plus glu"
).split()

ACTIVATION_ARGUMENTS = {
    "relu negative_slope=0.1,max_value=2,threshold=0.5": (
        "relu",
        {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5},
    ),
    "gelu approximate": ("gelu", {"approximate": True}),
    "elu alpha=0.5": ("elu", {"alpha": 0.5}),
    "leaky_relu 0.3": ("leaky_relu", {"negative_slope": 0.3}),
    "softmax axis=0": ("softmax", {"axis": 0}),
    "threshold": ("threshold", {"threshold": 0.5, "default_value": -0.2}),
}


def key(case) -> str:
    """Return the name of a case."""
    cls, arguments = case
    return f"{cls}({','.join(f'{k}={v}' for k, v in arguments.items())})"


def activation_grid():
    """Return the points at which activations are compared, without their kinks."""
    import numpy as np

    return np.linspace(-6.03, 6.07, 60).astype("float32").reshape(6, 10)
