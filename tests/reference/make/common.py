"""Shared by the generators: the Keras module under test, and small reproducible files."""

from __future__ import annotations

import io
import json
import pathlib
import zipfile

import keras
import numpy as np
from keras.src.losses import loss as loss_module

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"

if keras.__version__ != "3.15.1" or keras.backend.backend() != "torch":
    raise SystemExit(
        "The reference files are made with keras==3.15.1 on the torch backend; "
        f"found {keras.__version__} on {keras.backend.backend()}."
    )


def apply_mask(sample_weight, mask, dtype, reduction):
    """Merge a mask into sample weights as Keras does, but never in place.

    On PyTorch Keras multiplies the caller's weights in place, so that metrics see weights that the
    loss has changed, and weights that have to be broadcast are refused.
    """
    if sample_weight is not None and mask is not None:
        same_rank = len(sample_weight.shape) == len(mask.shape)
        ones = keras.ops.ones_like(mask if same_rank else sample_weight, dtype=dtype)
        sample_weight = keras.ops.cast(sample_weight, dtype) * ones
    return PLAIN_APPLY_MASK(sample_weight, mask, dtype, reduction)


PLAIN_APPLY_MASK = loss_module.apply_mask
loss_module.apply_mask = apply_mask


def save_npz(name: str, arrays: dict) -> None:
    """Write a compressed .npz whose bytes depend on its contents alone."""
    DATA.mkdir(exist_ok=True)
    with zipfile.ZipFile(DATA / name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key, value in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(value, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(key + ".npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
    print(f"{name}: {(DATA / name).stat().st_size / 1024:.1f} KiB, {len(arrays)} arrays")


def save_json(name: str, value: dict) -> None:
    """Write a JSON object, one line for each of its keys."""
    DATA.mkdir(exist_ok=True)
    compact = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
    lines = [f"{json.dumps(k)}: {json.dumps(v, **compact)}" for k, v in sorted(value.items())]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (DATA / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(text) / 1024:.1f} KiB")


def numpy(value) -> np.ndarray:
    """Return a Keras tensor as a NumPy array."""
    return np.array(keras.ops.convert_to_numpy(value))
