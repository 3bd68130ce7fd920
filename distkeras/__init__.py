"""distkeras: the Keras 3 API on NumPy and CuPy arrays, data-parallel over MPI ranks.

`import distkeras as keras` takes the place of `import keras`. Nothing below is imported before it
is used.
"""

from distkeras.utils.lazy import lazy_attributes

__version__ = "0.1.0"

# Parts of Keras 3 that do not exist here.
_MISSING = frozenset(
    "Function Quantizer RematScope StatelessScope SymbolicScope applications export "
    "name_scope preprocessing quantizers remat src tree visualization "
    "wrappers".split()
)


def _missing(name: str):
    if name in _MISSING:
        raise AttributeError(
            f"keras.{name} is a part of Keras that distkeras does not have yet; the README says "
            "what there is."
        )
    raise AttributeError(f"module 'distkeras' has no attribute {name!r}")


__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.dtype_policies": ("DTypePolicy", "FloatDTypePolicy=DTypePolicy"),
        "distkeras.engine.tape": ("GradientTape",),
        "distkeras.engine.variable": ("Variable",),
        "distkeras.initializers": ("Initializer",),
        "distkeras.layers.core.input_layer": ("Input",),
        "distkeras.layers.input_spec": ("InputSpec",),
        "distkeras.layers.layer": ("Layer",),
        "distkeras.losses": ("Loss",),
        "distkeras.metrics": ("Metric",),
        "distkeras.models.model": ("Model",),
        "distkeras.models.sequential": ("Sequential",),
        "distkeras.ops.symbolic": ("KerasTensor", "Operation"),
        "distkeras.optimizers": ("Optimizer",),
        "distkeras.regularizers": ("Regularizer",),
        "distkeras.devices": ("device=use_device",),
    },
    submodules=(
        "activations",
        "backend",
        "callbacks",
        "config",
        "constraints",
        "datasets",
        "distribution",
        "dtype_policies",
        "errors",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "plugins",
        "random",
        "regularizers",
        "saving",
        "utils",
    ),
    fallback=_missing,
)


def version() -> str:
    """The version of distkeras, a string.

    Example:
        >>> version() == __version__
        True
    """
    return __version__
