"""The promotion lattice: result types of all ordered pairs, and some triples."""

from __future__ import annotations

import itertools

from keras.src.backend.common import dtypes

from .common import save_json

NAMES = "bool uint8 uint16 uint32 int8 int16 int32 int64 float16 bfloat16 float32 float64".split()
PYTHON = {"python:int": int, "python:float": float, "python:bool": bool}
TRIPLES = [
    ("int8", "uint8", "float16"),
    ("bfloat16", "float16", "int64"),
    ("bool", "python:int", "float16"),
    ("python:float", "int32", "bfloat16"),
    ("python:int", "python:float", "int64"),
    ("uint32", "int8", "python:float"),
    ("float64", "python:float", "int64"),
]


def main() -> None:
    """Write dtypes.json: `keras` is what Keras returns, `x64` the same with 64-bit types kept.

    On its PyTorch backend Keras narrows int64 and float64 results to 32 bits after the lattice.
    """
    table = {}
    clamp = dict(dtypes.BIT64_TO_BIT32_DTYPE)
    names = NAMES + list(PYTHON)
    for key in list(itertools.product(names, repeat=2)) + [(n,) for n in names] + TRIPLES:
        arguments = [PYTHON.get(n, n) for n in key]
        dtypes.BIT64_TO_BIT32_DTYPE.update(clamp)
        plain = dtypes.result_type(*arguments)
        dtypes.BIT64_TO_BIT32_DTYPE.clear()
        table[" ".join(key)] = {"keras": plain, "x64": dtypes.result_type(*arguments)}
        dtypes.BIT64_TO_BIT32_DTYPE.update(clamp)
    save_json("dtypes.json", {k: [v["keras"], v["x64"]] for k, v in table.items()})


if __name__ == "__main__":
    main()
