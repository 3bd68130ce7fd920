"""Layers: the built-in ones by name, imported on first use, and those of installed plugins.

`NAMES` is the one table of built-in layers: the registry reads it through the plugin hook, and
`distkeras.layers.<Name>` follows from it. A name that is not in it is looked up among plugins.
"""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.layers.activation": (
        "Activation",
        "ELU",
        "LeakyReLU",
        "PReLU",
        "ReLU",
        "Softmax",
    ),
    "distkeras.layers.convolution.depthwise": (
        "DepthwiseConv1D",
        "DepthwiseConv2D",
    ),
    "distkeras.layers.convolution.plain": (
        "Conv1D",
        "Conv2D",
        "Conv3D",
        "Convolution1D=Conv1D",
        "Convolution2D=Conv2D",
        "Convolution3D=Conv3D",
    ),
    "distkeras.layers.convolution.separable": (
        "SeparableConv1D",
        "SeparableConv2D",
        "SeparableConvolution1D=SeparableConv1D",
        "SeparableConvolution2D=SeparableConv2D",
    ),
    "distkeras.layers.convolution.transposed": (
        "Conv1DTranspose",
        "Conv2DTranspose",
        "Conv3DTranspose",
        "Convolution1DTranspose=Conv1DTranspose",
        "Convolution2DTranspose=Conv2DTranspose",
        "Convolution3DTranspose=Conv3DTranspose",
    ),
    "distkeras.layers.core.dense": ("Dense",),
    "distkeras.layers.core.einsum_dense": ("EinsumDense",),
    "distkeras.layers.core.embedding": ("Embedding",),
    "distkeras.layers.core.input_layer": (
        "Input",
        "InputLayer",
    ),
    "distkeras.layers.core.lambda_layer": ("Lambda",),
    "distkeras.layers.core.masking": ("Masking",),
    "distkeras.layers.core.shaping": (
        "Flatten",
        "Identity",
        "Permute",
        "RepeatVector",
        "Reshape",
    ),
    "distkeras.layers.input_spec": ("InputSpec",),
    "distkeras.layers.layer": ("Layer",),
    "distkeras.layers.pooling.everywhere": (
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalAveragePooling3D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "GlobalMaxPooling3D",
        "GlobalAvgPool1D=GlobalAveragePooling1D",
        "GlobalAvgPool2D=GlobalAveragePooling2D",
        "GlobalAvgPool3D=GlobalAveragePooling3D",
        "GlobalMaxPool1D=GlobalMaxPooling1D",
        "GlobalMaxPool2D=GlobalMaxPooling2D",
        "GlobalMaxPool3D=GlobalMaxPooling3D",
    ),
    "distkeras.layers.pooling.windows": (
        "AveragePooling1D",
        "AveragePooling2D",
        "AveragePooling3D",
        "MaxPooling1D",
        "MaxPooling2D",
        "MaxPooling3D",
        "AvgPool1D=AveragePooling1D",
        "AvgPool2D=AveragePooling2D",
        "AvgPool3D=AveragePooling3D",
        "MaxPool1D=MaxPooling1D",
        "MaxPool2D=MaxPooling2D",
        "MaxPool3D=MaxPooling3D",
    ),
    "distkeras.layers.merging.elementwise": (
        "Add",
        "Average",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
        "add",
        "average",
        "maximum",
        "minimum",
        "multiply",
        "subtract",
    ),
    "distkeras.layers.merging.joining": ("Concatenate", "Dot", "concatenate", "dot"),
    "distkeras.layers.recurrent.rnn": ("RNN",),
    "distkeras.layers.recurrent.stacked": ("StackedRNNCells",),
    "distkeras.layers.recurrent.simple": ("SimpleRNN", "SimpleRNNCell"),
    "distkeras.layers.recurrent.lstm": ("LSTM", "LSTMCell"),
    "distkeras.layers.recurrent.gru": ("GRU", "GRUCell"),
    "distkeras.layers.recurrent.bidirectional": ("Bidirectional",),
    "distkeras.layers.recurrent.time_distributed": ("TimeDistributed", "Wrapper"),
    "distkeras.layers.normalization.batch_normalization": ("BatchNormalization",),
    "distkeras.layers.normalization.within_sample": (
        "GroupNormalization",
        "LayerNormalization",
        "RMSNormalization",
        "UnitNormalization",
    ),
    "distkeras.layers.preprocessing.normalization": ("Normalization",),
    "distkeras.layers.preprocessing.rescaling": ("Rescaling",),
    "distkeras.layers.regularization": (
        "ActivityRegularization",
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    ),
    "distkeras.layers.serialization": (
        "deserialize",
        "serialize",
    ),
    "distkeras.layers.spatial.borders": (
        "Cropping1D",
        "Cropping2D",
        "Cropping3D",
        "ZeroPadding1D",
        "ZeroPadding2D",
        "ZeroPadding3D",
    ),
    "distkeras.layers.spatial.up_sampling": (
        "UpSampling1D",
        "UpSampling2D",
        "UpSampling3D",
    ),
}

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "layer")
)
