"""Convolutional layers: families that no reference file covers, shapes, weights, configurations."""

import numpy as np
import pytest

from distkeras import GradientTape, Input, layers, ops
from distkeras.errors import ArgumentError, ShapeError


def draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def filled(layer, shape):
    """The layer, built, with weights that are not zero."""
    layer.build(shape)
    layer.set_weights([draw(*w.shape) for w in layer.weights])
    return layer


# (class, arguments, sample shape, output shape, names and shapes of the weights)
FAMILIES = [
    ("Conv1D", {"filters": 6, "kernel_size": 3, "padding": "causal"}, (9, 4), (9, 6),
     {"kernel": (3, 4, 6), "bias": (6,)}),
    ("Conv2D", {"filters": 6, "kernel_size": (3, 2), "groups": 2}, (7, 8, 4), (5, 7, 6),
     {"kernel": (3, 2, 2, 6), "bias": (6,)}),
    ("Conv3D", {"filters": 5, "kernel_size": 2, "strides": 2}, (4, 5, 6, 3), (2, 2, 3, 5),
     {"kernel": (2, 2, 2, 3, 5), "bias": (5,)}),
    ("Conv1DTranspose", {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"},
     (4, 3), (8, 5), {"kernel": (3, 5, 3), "bias": (5,)}),
    ("Conv2DTranspose", {"filters": 5, "kernel_size": 3, "strides": 2, "output_padding": 1},
     (4, 5, 3), (10, 12, 5), {"kernel": (3, 3, 5, 3), "bias": (5,)}),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "use_bias": False},
     (2, 3, 4, 3), (3, 4, 5, 2), {"kernel": (2, 2, 2, 2, 3)}),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2},
     (9, 4), (4, 8), {"kernel": (3, 4, 2), "bias": (8,)}),
    ("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "padding": "same"},
     (6, 7, 4), (6, 7, 4), {"kernel": (3, 3, 4, 1), "bias": (4,)}),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2}, (9, 4), (7, 5),
     {"depthwise_kernel": (3, 4, 2), "pointwise_kernel": (1, 8, 5), "bias": (5,)}),
    ("SeparableConv2D", {"filters": 5, "kernel_size": (3, 2), "padding": "same"}, (6, 7, 4),
     (6, 7, 5),
     {"depthwise_kernel": (3, 2, 4, 1), "pointwise_kernel": (1, 1, 4, 5), "bias": (5,)}),
]  # fmt: skip
IDS = [case[0] for case in FAMILIES]


@pytest.mark.parametrize("name,arguments,shape,out,weights", FAMILIES, ids=IDS)
def test_shapes_and_weights(name, arguments, shape, out, weights):
    layer = filled(getattr(layers, name)(**arguments), (None, *shape))
    assert {w.name: w.shape for w in layer.weights} == weights
    assert layer(draw(2, *shape)).shape == (2, *out)
    assert layer(draw(0, *shape)).shape == (0, *out)
    assert layer.compute_output_shape((None, *shape)) == (None, *out)
    assert layer(Input(shape)).shape == (None, *out)
    open_shape = (*(None,) * (len(shape) - 1), shape[-1])
    assert layer(Input(open_shape)).shape == (None, *open_shape[:-1], out[-1])


@pytest.mark.parametrize("name,arguments,shape,out,weights", FAMILIES, ids=IDS)
def test_the_other_layout_holds_the_same_numbers(name, arguments, shape, out, weights):
    if arguments.get("padding") == "causal":
        arguments = {**arguments, "activation": "relu"}
    last = filled(getattr(layers, name)(**arguments), (None, *shape))
    turned = (shape[-1], *shape[:-1])
    first = filled(
        getattr(layers, name)(**arguments, data_format="channels_first"), (None, *turned)
    )
    x = draw(2, *shape)
    found = first(np.moveaxis(x, -1, 1)).numpy()
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), last(x).numpy(), rtol=1e-5, atol=1e-5)
    assert first.compute_output_shape((None, *turned)) == (None, out[-1], *out[:-1])
    assert first(Input(turned)).shape == (None, out[-1], *out[:-1])


@pytest.mark.parametrize("name,arguments,shape,out,weights", FAMILIES, ids=IDS)
def test_configurations(name, arguments, shape, out, weights):
    part = next(iter(weights)).removesuffix("_kernel")
    if name.startswith("Depthwise"):
        part = "depthwise"
    extra = {"activation": "tanh", f"{part}_regularizer": "l2", "bias_constraint": "non_neg"}
    layer = getattr(layers, name)(**arguments, **extra, name="wave")
    config = layer.get_config()
    assert config["activation"] == "tanh"
    assert config["name"] == "wave"
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert len(filled(again, (None, *shape)).losses) == 1


@pytest.mark.parametrize("name,arguments,shape,out,weights", FAMILIES, ids=IDS)
def test_every_weight_and_the_input_have_gradients(name, arguments, shape, out, weights):
    layer = filled(getattr(layers, name)(**arguments), (None, *shape))
    x = ops.convert_to_tensor(draw(3, *shape))
    with GradientTape() as tape:
        tape.watch(x)
        total = ops.sum(ops.square(layer(x)))
    sources = [x, *layer.trainable_weights]
    for source, gradient in zip(sources, tape.gradient(total, sources), strict=True):
        assert gradient.shape == tuple(source.shape)
        assert np.abs(gradient.numpy()).max() > 0


def test_depthwise_is_one_convolution_for_each_channel():
    layer = filled(layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 6, 7, 3))
    x = draw(2, 6, 7, 3)
    kernel, bias = (w.numpy() for w in layer.weights)
    parts = [
        ops.conv(x[..., c : c + 1], kernel[:, :, c : c + 1]).numpy() for c in range(x.shape[-1])
    ]
    wanted = np.concatenate(parts, axis=-1) + bias
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_separable_is_depthwise_and_pointwise():
    layer = filled(layers.SeparableConv1D(5, 3, depth_multiplier=2), (None, 9, 4))
    first, second, bias = (w.numpy() for w in layer.weights)
    x = draw(2, 9, 4)
    wanted = ops.conv(ops.depthwise_conv(x, first), second).numpy() + bias
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_is_the_gradient_of_a_convolution(padding):
    x = ops.convert_to_tensor(draw(2, 8, 8, 3))
    layer = filled(layers.Conv2DTranspose(3, 4, 2, padding, use_bias=False), (None, 4, 4, 5))
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.conv(x, layer.kernel, 2, padding)
    g = ops.convert_to_tensor(draw(*y.shape))
    gradient = tape.gradient(y, x, output_gradients=g)
    np.testing.assert_allclose(layer(g).numpy(), gradient.numpy(), rtol=1e-4, atol=1e-4)


def test_causal_outputs_see_no_later_input():
    layer = filled(layers.Conv1D(2, 3, padding="causal", dilation_rate=2), (None, 10, 1))
    x = draw(1, 10, 1)
    changed = x.copy()
    changed[:, 6:] += 1
    a, b = layer(x).numpy(), layer(changed).numpy()
    np.testing.assert_array_equal(a[:, :6], b[:, :6])
    assert (a[:, 6:] != b[:, 6:]).all()


def test_mixed_precision():
    layer = layers.Conv2D(4, 3, dtype="mixed_float16")
    y = layer(draw(2, 5, 5, 3))
    assert y.dtype == "float16"
    assert layer.kernel.dtype == "float32"


def test_keras_aliases():
    assert layers.Convolution2D is layers.Conv2D
    assert layers.MaxPool1D is layers.MaxPooling1D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D


def test_conv3d_transpose_takes_the_layout_before_the_output_padding():
    layer = layers.Conv3DTranspose(2, 3, 2, "valid", "channels_first", 1)
    assert (layer.data_format, layer.output_padding) == ("channels_first", (1, 1, 1))


@pytest.mark.parametrize(
    "make,match",
    [
        (lambda: layers.Conv2D(0, 3), "filters"),
        (lambda: layers.Conv2D(4, 0), "kernel_size"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), "tuple of 2"),
        (lambda: layers.Conv2D(4, 3, strides=0), "strides"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "causal"),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "dilation_rate"),
        (lambda: layers.Conv2D(4, 3, groups=3), "divisible"),
        (lambda: layers.Conv2D(4, 3, groups=0), "groups"),
        (lambda: layers.Conv2D(4, 3, lora_rank=2), "lora_rank"),
        (lambda: layers.Conv1DTranspose(4, 3, 2, output_padding=2), "output_padding"),
        (lambda: layers.DepthwiseConv1D(3, depth_multiplier=0), "depth_multiplier"),
        (lambda: layers.MaxPooling2D((2, 2, 2)), "pool_size"),
        (lambda: layers.AveragePooling1D(2, padding="full"), "full"),
        (lambda: layers.UpSampling2D(interpolation="cubic"), "interpolation"),
        (lambda: layers.UpSampling1D(0), "size"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), "padding"),
        (lambda: layers.Cropping2D(((1, 0), -1)), "cropping"),
    ],
)
def test_arguments_outside_their_domain(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    "layer,shape,match",
    [
        (layers.Conv2D(4, 3), (2, 2, 5, 3), "zero or negative"),
        (layers.Conv2D(4, 3), (2, 5, 3), "axes|ndim"),
        (layers.Conv2D(4, 3, groups=2), (2, 5, 5, 3), "divisible"),
        (layers.MaxPooling1D(6), (2, 5, 3), "zero or negative"),
        (layers.Cropping1D((3, 2)), (2, 5, 3), "cropping"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit(layer, shape, match):
    with pytest.raises(ValueError, match=match):
        layer(draw(*shape))


def test_channels_must_be_known_and_stay_as_they_were():
    with pytest.raises(ShapeError, match="known size"):
        layers.Conv1D(2, 3).build((None, 5, None))
    layer = layers.Conv1D(2, 3)
    layer(draw(1, 5, 3))
    with pytest.raises(ValueError, match="axis"):
        layer(draw(1, 5, 4))


# --- pooling, resizing, borders -----------------------------------------------------------------

# (layer, sample shape, output shape)
SPATIAL = [
    (lambda **k: layers.MaxPooling3D(2, **k), (4, 5, 6, 2), (2, 2, 3, 2)),
    (lambda **k: layers.AveragePooling3D(2, padding="same", **k), (4, 5, 6, 2), (2, 3, 3, 2)),
    (lambda **k: layers.MaxPooling2D((2, 3), 2, **k), (6, 7, 2), (3, 3, 2)),
    (lambda **k: layers.GlobalMaxPooling3D(**k), (4, 5, 6, 2), (2,)),
    (lambda **k: layers.GlobalAveragePooling3D(keepdims=True, **k), (4, 5, 6, 2), (1, 1, 1, 2)),
    (lambda **k: layers.UpSampling3D((1, 2, 3), **k), (2, 3, 2, 2), (2, 6, 6, 2)),
    (lambda **k: layers.UpSampling2D((2, 3), interpolation="bilinear", **k), (3, 4, 2),
     (6, 12, 2)),
    (lambda **k: layers.ZeroPadding3D(((1, 0), 2, 0), **k), (3, 4, 5, 2), (4, 8, 5, 2)),
    (lambda **k: layers.ZeroPadding3D(((1, 0), (2, 2), (0, 1)), **k), (3, 4, 5, 2), (4, 8, 6, 2)),
    (lambda **k: layers.Cropping3D(1, **k), (3, 4, 5, 2), (1, 2, 3, 2)),
    (lambda **k: layers.Cropping2D(((0, 1), (2, 0)), **k), (3, 4, 2), (2, 2, 2)),
]  # fmt: skip


@pytest.mark.parametrize("make,shape,out", SPATIAL)
def test_layers_without_weights(make, shape, out):
    """Both layouts, shapes known and open, and the way through a configuration."""
    layer = make()
    again = type(layer).from_config(layer.get_config())
    x = draw(2, *shape)
    y = again(x).numpy()
    assert y.shape == (2, *out)
    assert layer.compute_output_shape((None, *shape)) == (None, *out)
    assert layer(Input(shape)).shape == (None, *out)
    first = make(data_format="channels_first")
    turned = first(np.moveaxis(x, -1, 1)).numpy()
    assert first(Input((shape[-1], *shape[:-1]))).shape == (None, *turned.shape[1:])
    np.testing.assert_allclose(y, np.moveaxis(turned, 1, -1), rtol=1e-6, atol=1e-6)


def test_upsampling_repeats_and_its_gradient_sums():
    x = ops.convert_to_tensor(draw(2, 2, 3, 1))
    with GradientTape() as tape:
        tape.watch(x)
        y = layers.UpSampling2D((2, 3))(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy().repeat(2, 1).repeat(3, 2))
    g = draw(*y.shape)
    found = tape.gradient(y, x, output_gradients=ops.convert_to_tensor(g)).numpy()
    wanted = g.reshape(2, 2, 2, 3, 3, 1).sum((2, 4))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_mean_leaves_masked_steps_out():
    x = draw(2, 4, 3)
    mask = np.array([[True, True, False, False], [True, False, True, True]])
    layer = layers.GlobalAveragePooling1D()
    y = layer(x, mask=ops.convert_to_tensor(mask))
    wanted = np.stack([row[keep].mean(0) for row, keep in zip(x, mask, strict=True)])
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-5)
    assert getattr(y, "_keras_mask", None) is None
    ids = layers.Embedding(5, 3, mask_zero=True)(np.array([[1, 2, 0, 0]]))
    np.testing.assert_allclose(layer(ids).numpy(), ids.numpy()[:, :2].mean(1), rtol=1e-6)
