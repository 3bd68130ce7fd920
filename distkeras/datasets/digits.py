"""The UCI handwritten digits: 1,797 real 8x8 images that ship in the package."""

from pathlib import Path

import numpy as np

__all__ = ["load_data"]

_FILE = Path(__file__).parent / "data" / "digits.npz"

# Of each class, in the order of the file, the samples 2, 7, 12, ... are the test set.
_TEST_EVERY = 5
_TEST_FROM = 2

_Pair = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[_Pair, _Pair]:
    """The test set of the UCI "Optical Recognition of Handwritten Digits", split in a fixed way.

    The split is the same for ever and on every machine, so that accuracies can be compared: in the
    order of the original file, every fifth sample of each class (the third, the eighth, ...)
    belongs to the test set. It is therefore stratified, and since the file goes writer by writer,
    each writer is in both parts.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all uint8: images of shape `(1438, 8, 8)` and
        `(359, 8, 8)` with values 0..16, labels 0..9 of shape `(1438,)` and `(359,)`. The arrays
        are new at each call.

    Source: Alpaydin and Kaynak (1998), https://doi.org/10.24432/C50P49, CC BY 4.0; see
    `data/SOURCES.txt`.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, x_test.shape, int(x_train.max())
        ((1438, 8, 8), (359, 8, 8), 16)
    """
    with np.load(_FILE, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[_TEST_FROM::_TEST_EVERY]] = True
    return (images[~test], labels[~test]), (images[test], labels[test])
