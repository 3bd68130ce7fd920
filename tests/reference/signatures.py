"""Which public names are compared, and a signature as text."""

from __future__ import annotations

import inspect

NAMESPACES = (
    "",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "ops.image",
    "optimizers",
    "optimizers.schedules",
    "random",
    "regularizers",
    "saving",
    "utils",
)

# Classes whose methods users call or override.
BASES = "Layer Model Sequential Loss Metric Optimizer Initializer Regularizer Variable".split()


def public(keras, space: str) -> list:
    """The callables of a namespace, as pairs of name and value."""
    module = keras
    for part in space.split(".") if space else ():
        module = getattr(module, part)
    names = [n for n in dir(module) if not n.startswith("_")]
    pairs = [(n, getattr(module, n, None)) for n in names]
    return [(n, v) for n, v in pairs if callable(v) and not inspect.ismodule(v)]


def signature_of(value) -> str | None:
    """A signature as text, without annotations; `None` where Python knows none.

    A default of equal elements stands for its element, `(1, 1)` for `1`: layers take either.
    """
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return None
    return ", ".join(_text(p) for p in parameters if p.name != "self")


def _text(parameter) -> str:
    name = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = ("| " if parameter.kind == parameter.KEYWORD_ONLY else "") + name + parameter.name
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    while isinstance(default, tuple) and default and all(d == default[0] for d in default):
        default = default[0]
    plain = isinstance(default, str | int | float | tuple | list | dict | type(None))
    return f"{text}={default!r}" if plain else f"{text}=..."
