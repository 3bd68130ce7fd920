"""Result dtypes of operations."""

from __future__ import annotations

import keras
from keras.src.backend.common import dtypes

from .. import cases_ops
from .common import save_json


def main() -> None:
    """Write ops.json; 64-bit results are kept where the lattice gives them."""
    clamp = dict(dtypes.BIT64_TO_BIT32_DTYPE)
    dtypes.BIT64_TO_BIT32_DTYPE.clear()
    try:
        found = {
            "unary": {n: agreed(cases_ops.run_unary, n) for n in cases_ops.UNARY},
            "binary": {n: agreed(cases_ops.run_binary, n) for n in cases_ops.BINARY},
        }
    finally:
        dtypes.BIT64_TO_BIT32_DTYPE.update(clamp)
    save_json("ops.json", found)


def agreed(run, name: str) -> dict:
    """Return where PyTorch's result is what Keras declares, the inputs grouped by it."""
    declared = run(keras, name, cases_ops.symbolic)
    groups: dict[str, list] = {}
    for key, value in run(keras, name).items():
        # PyTorch has no uint32, so that Keras declares int32 there.
        narrowed = key == "uint8" and name in ("sum", "prod", "trace")
        if value is not None and value == declared[key] and not narrowed:
            groups.setdefault(value, []).append(key)
        else:
            print("not compared:", name, key, value, declared[key])
    return groups


if __name__ == "__main__":
    main()
