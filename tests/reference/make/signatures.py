"""The names, order and defaults of the arguments of Keras's public classes and functions."""

from __future__ import annotations

import inspect

import keras

from ..signatures import BASES, NAMESPACES, public, signature_of
from .common import save_json


def main() -> None:
    """Write signatures.json: namespace -> name -> signature."""
    table = {}
    for space in NAMESPACES:
        found = {name: signature_of(value) for name, value in public(keras, space)}
        table[space or "keras"] = {k: v for k, v in found.items() if v is not None}
    for base in BASES:
        methods = inspect.getmembers(getattr(keras, base), inspect.isroutine)
        own = {n: signature_of(m) for n, m in methods if not n.startswith("_")}
        table[f"keras.{base}"] = {
            k: v
            for k, v in own.items()
            if v is not None and getattr(getattr(keras, base), k).__module__.startswith("keras")
        }
    save_json("signatures.json", table)


if __name__ == "__main__":
    main()
