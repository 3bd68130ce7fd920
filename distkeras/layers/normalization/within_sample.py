"""Normalizations within each sample: over chosen axes, over groups of channels, to length 1."""

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.engine import primitives as P
from distkeras.engine.shapes import normalize_axes
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.arguments import arguments_of, known_size
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.layers.normalization.affine import Affine

__all__ = ["GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]


def _single(x):
    """Half precision in float32: squares overflow and means lose digits."""
    return ops.cast(x, "float32") if x.dtype in ("float16", "bfloat16") else x


def _standardize(x, axis, epsilon: float, center: bool):
    axes = tuple(sorted(normalize_axes(axis, x.ndim)))
    return P.standardize(x, axis=axes, epsilon=float(epsilon), center=center)


def _along(weight, axes: Sequence[int], x):
    """A weight over some axes, shaped to broadcast against `x`."""
    axes = sorted(normalize_axes(tuple(axes), x.ndim))
    weight = ops.cast(weight, x.dtype)
    if axes == list(range(x.ndim - len(axes), x.ndim)):
        return weight
    return ops.reshape(weight, tuple(d if i in axes else 1 for i, d in enumerate(x.shape)))


def _axis_list(layer: Any, input_shape: Sequence[int | None]) -> list[int]:
    """The axes of a layer as a list, checked against the rank."""
    axes = sorted(layer.axis) if isinstance(layer.axis, list | tuple) else [layer.axis]
    rank = len(input_shape)
    for a in axes:
        if not -rank <= a < rank:
            raise ShapeError(
                f"Axis {a} is out of bounds for input shape {tuple(input_shape)} of the layer "
                f"'{layer.name}'. Received: axis={layer.axis}"
            )
    return axes


class LayerNormalization(Affine):
    """Makes mean 0 and variance 1 over axes of each sample (Ba et al., arXiv:1607.06450).

    Args:
        axis: an axis or several, default -1.
        epsilon: added to the variance, default 1e-3.
        center, scale: whether there is an offset `beta`, a factor `gamma`; default `True`.
        beta_initializer, gamma_initializer: default zeros and ones.
        beta_regularizer, gamma_regularizer: added to the loss, default none.
        beta_constraint, gamma_constraint: applied after each update, default none.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ShapeError: where an axis does not exist or its size is not known.

    Example:
        >>> LayerNormalization()([[1.0, 3.0]]).numpy().round(1).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        if isinstance(axis, bool) or not isinstance(axis, int | list | tuple):
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', but received: "
                f"{axis!r}"
            )
        self.axis = list(axis) if isinstance(axis, list | tuple) else axis
        self.epsilon = epsilon
        self.rms_scaling = rms_scaling

    def build(self, input_shape):
        self.axis = _axis_list(self, input_shape)
        shape = tuple(known_size(self, input_shape, a) for a in self.axis)
        if self.rms_scaling:
            self.scale, self.center = True, False
        self.add_affine(shape)

    def call(self, inputs):
        x = _single(inputs)
        y = _standardize(x, self.axis, self.epsilon, center=not self.rms_scaling)
        if self.gamma is not None:
            y = ops.multiply(y, _along(self.gamma, self.axis, x))
        if self.beta is not None:
            y = ops.add(y, _along(self.beta, self.axis, x))
        return ops.cast(y, self.compute_dtype)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        own = {**self.affine_config(), **arguments_of(self, "axis epsilon rms_scaling")}
        return {**super().get_config(), **own}


class RMSNormalization(Layer):
    """Divides by the root mean square over axes of each sample (arXiv:1910.07467).

    Args:
        axis: an axis or several, default -1.
        epsilon: added to the mean square, default 1e-6.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> RMSNormalization()([[3.0, 3.0]]).numpy().round(3).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape):
        self.axis = _axis_list(self, input_shape)
        shape = tuple(known_size(self, input_shape, a) for a in self.axis)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, x):
        wide = _single(x)
        y = _standardize(wide, self.axis, self.epsilon, center=False)
        return ops.cast(ops.multiply(y, _along(self.scale, self.axis, wide)), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), **arguments_of(self, "axis epsilon")}


class GroupNormalization(Affine):
    """Makes mean 0 and variance 1 over groups of channels of each sample (arXiv:1803.08494).

    Args:
        groups: the number of groups, which divides that of channels; -1 for one channel each.
            Default 32.
        axis: the channel axis, default -1.
        epsilon: added to the variance, default 1e-3.
        center, scale: whether there is an offset `beta`, a factor `gamma`; default `True`.
        beta_initializer, gamma_initializer: default zeros and ones.
        beta_regularizer, gamma_regularizer: added to the loss, default none.
        beta_constraint, gamma_constraint: applied after each update, default none.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where the groups do not divide the channels.

    Example:
        >>> GroupNormalization(groups=1)([[1.0, 3.0]]).numpy().round(1).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        self.groups = groups
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape):
        channels = known_size(self, input_shape, self.axis)
        if self.groups == -1:
            self.groups = channels
        if self.groups < 1 or channels % self.groups:
            raise ArgumentError(
                f"Number of groups ({self.groups}) must divide the number of channels ({channels}) "
                "of "
                f"the layer '{self.name}'."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self.add_affine((channels,))

    def call(self, inputs):
        x = _single(inputs)
        channel = self.axis % x.ndim
        shape = list(x.shape)
        shape[channel : channel + 1] = [self.groups, shape[channel] // self.groups]
        axes = tuple(a for a in range(1, len(shape)) if a != channel)
        y = ops.reshape(
            _standardize(ops.reshape(x, tuple(shape)), axes, self.epsilon, True), x.shape
        )
        if self.gamma is not None:
            y = ops.multiply(y, _along(self.gamma, (channel,), x))
        if self.beta is not None:
            y = ops.add(y, _along(self.beta, (channel,), x))
        return ops.cast(y, self.compute_dtype)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        own = {**arguments_of(self, "groups axis epsilon"), **self.affine_config()}
        return {**super().get_config(), **own}


class UnitNormalization(Layer):
    """Scales each sample to Euclidean length 1 over axes.

    Args:
        axis: an axis or several, default -1.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> UnitNormalization()([[3.0, 4.0]]).numpy().round(3).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int | list | tuple):
            raise TypeError(
                "Invalid value for `axis` argument: expected an int or a list/tuple of ints. "
                f"Received: axis={axis!r}"
            )
        self.axis = list(axis) if isinstance(axis, list | tuple) else axis
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        axes = tuple(_axis_list(self, inputs.shape))
        x = _single(inputs)
        length = ops.sum(ops.square(x), axis=axes, keepdims=True)
        return ops.cast(ops.multiply(x, ops.rsqrt(ops.maximum(length, 1e-24))), inputs.dtype)

    def compute_output_shape(self, input_shape):
        _axis_list(self, input_shape)
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "axis": self.axis}
