"""Fisher's irises: 150 flowers of three species, shipped in the package."""

from pathlib import Path

import numpy as np

from distkeras.errors import ArgumentError

__all__ = ["FEATURE_NAMES", "SPECIES", "load_data"]

FEATURE_NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
SPECIES = ("setosa", "versicolor", "virginica")

_FILE = Path(__file__).parent / "data" / "iris.csv"

_Pair = tuple[np.ndarray, np.ndarray]


def load_data(test_split: float = 0.2, seed: int = 113) -> tuple[_Pair, _Pair]:
    """Fisher's iris data, shuffled by `seed` and split.

    Args:
        test_split: fraction of the 150 samples that becomes the test set, at least 0 and below 1.
        seed: seed of the shuffle before the split; the same seed gives the same split everywhere.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: float32 features of shape `(n, 4)` in centimetres,
        named by `FEATURE_NAMES`, and uint8 labels of shape `(n,)`, indices into `SPECIES`.

    Raises:
        ArgumentError: if `test_split` lies outside [0, 1).

    Source: Fisher (1936), https://doi.org/10.24432/C56C76, CC BY 4.0; see `data/SOURCES.txt`.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, x_test.shape
        ((120, 4), (30, 4))
    """
    if not 0 <= test_split < 1:
        raise ArgumentError(f"`test_split` must be a fraction in [0, 1), got {test_split!r}.")
    rows = [line.split(",") for line in _FILE.read_text(encoding="utf-8").splitlines()[1:]]
    features = np.array([row[:4] for row in rows], dtype="float32")
    labels = np.array([SPECIES.index(row[4]) for row in rows], dtype="uint8")

    # RandomState's stream is frozen by NumPy's policy; a Generator's may change between releases.
    order = np.random.RandomState(seed).permutation(len(labels))
    features, labels = features[order], labels[order]
    cut = round(len(labels) * (1 - test_split))
    return (features[:cut], labels[:cut]), (features[cut:], labels[cut:])
