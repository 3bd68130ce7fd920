"""Names and values of logs for the ways to compile a model."""

from __future__ import annotations

import keras

from .. import cases_compile
from .common import save_json


def main() -> None:
    """Write compile.json."""
    found = {}
    for name in cases_compile.CASES:
        keras.utils.clear_session()
        try:
            found[name] = cases_compile.run(keras, name)
        except Exception as error:
            print(name, repr(error)[:600])
    save_json("compile.json", found)


if __name__ == "__main__":
    main()
