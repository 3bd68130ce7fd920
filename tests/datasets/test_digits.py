import hashlib

import numpy as np

from distkeras.datasets import digits


def test_shapes_types_and_values():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1438, 8, 8)
    assert x_test.shape == (359, 8, 8)
    assert y_train.shape == (1438,)
    assert y_test.shape == (359,)
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
    assert int(x_train.min()) == 0
    assert int(x_train.max()) == 16
    assert set(y_train.tolist()) == set(y_test.tolist()) == set(range(10))


def test_together_the_parts_are_the_uci_test_set():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    labels = np.concatenate([y_train, y_test])
    # The class counts that the repository's own description gives for optdigits.tes.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert int(x_train.sum(dtype=np.int64) + x_test.sum(dtype=np.int64)) == 561718
    rows = np.concatenate([x_train, x_test]).reshape(-1, 64)
    assert len(np.unique(rows, axis=0)) == 1797


def test_the_split_is_stratified_and_never_changes():
    (_, y_train), (x_test, y_test) = digits.load_data()
    share = np.bincount(y_test) / (np.bincount(y_train) + np.bincount(y_test))
    assert np.all(np.abs(share - 0.2) < 0.005)
    digest = hashlib.sha256(x_test.tobytes() + y_test.tobytes()).hexdigest()
    assert digest == "a8dee80a4bf306c6f44a15fde4ddba49ba2aec612a8ad1865237f46bcd43cb9b"


def test_the_first_image_is_the_published_one():
    (x_train, y_train), _ = digits.load_data()
    assert int(y_train[0]) == 0
    assert x_train[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_each_call_returns_fresh_arrays():
    (first, _), _ = digits.load_data()
    first[:] = 99
    (second, _), _ = digits.load_data()
    assert int(second.max()) == 16
