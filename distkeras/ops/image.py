"""`keras.ops.image`: operations on images."""

from distkeras import config
from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.primitives.resampling import METHODS
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.symbolic import op
from distkeras.utils.arguments import int_tuple

__all__ = ["resize"]


@op
def resize(
    images,
    size,
    interpolation="bilinear",
    antialias=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    fill_mode="constant",
    fill_value=0.0,
    data_format=None,
):
    """Images with another number of rows and columns.

    Args:
        images: `(rows, columns, channels)` with or without a batch axis before, or the channels
            first.
        size: the new number of rows and columns, a pair.
        interpolation: `"bilinear"` or `"nearest"`; the pixels' centres divide the edges evenly.
        antialias, crop_to_aspect_ratio, pad_to_aspect_ratio: must be false.
        fill_mode, fill_value: how padding is filled; accepted for Keras's sake.
        data_format: the layout, default `keras.config.image_data_format()`.

    Returns:
        A tensor of the dtype of the images; integers are rounded.

    Raises:
        ArgumentError: for another interpolation, or an argument that must be false.
        ShapeError: where the images have neither 3 nor 4 axes.

    Example:
        >>> resize([[[0.0], [1.0]]], (1, 4)).tolist()
        [[[0.0], [0.25], [0.75], [1.0]]]
    """
    if interpolation not in METHODS:
        raise ArgumentError(
            f"`interpolation` must be one of {', '.join(sorted(METHODS))}. "
            f"Received: interpolation={interpolation!r}"
        )
    if antialias:
        raise ArgumentError("`antialias` must be false: resizing is not smoothed here.")
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        raise ArgumentError(
            "`crop_to_aspect_ratio` and `pad_to_aspect_ratio` must be false: crop or pad the "
            "images before they are resized."
        )
    images = as_tensor(images)
    if images.ndim not in (3, 4):
        raise ShapeError(
            f"Expected one image (3 axes) or a batch (4 axes). Received: {images.shape}"
        )
    rows, columns = int_tuple(size, 2, "size")
    first = config.standardize_data_format(data_format) == "channels_first"
    axis = images.ndim - (2 if first else 3)
    x = images if dtypes.is_float(images.dtype) else cast(images, config.floatx())
    x = P.resample(x, axis=axis, size=rows, method=interpolation)
    x = P.resample(x, axis=axis + 1, size=columns, method=interpolation)
    return x if x.dtype == images.dtype else cast(P.round_(x), images.dtype)
