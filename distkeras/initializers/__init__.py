"""`keras.initializers`: the first values of weights."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.initializers.initializer": ("Initializer", "deserialize", "get", "serialize"),
    "distkeras.initializers.constant": (
        "Constant",
        "Identity",
        "Ones",
        "Zeros",
        "IdentityInitializer=Identity",
        "constant=Constant",
        "identity=Identity",
        "one=Ones",
        "ones=Ones",
        "zero=Zeros",
        "zeros=Zeros",
    ),
    "distkeras.initializers.draws": (
        "Orthogonal",
        "RandomNormal",
        "RandomUniform",
        "TruncatedNormal",
        "OrthogonalInitializer=Orthogonal",
        "normal=RandomNormal",
        "orthogonal=Orthogonal",
        "random_normal=RandomNormal",
        "random_uniform=RandomUniform",
        "truncated_normal=TruncatedNormal",
        "uniform=RandomUniform",
    ),
    "distkeras.initializers.scaling": (
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "LecunNormal",
        "LecunUniform",
        "VarianceScaling",
        "glorot_normal=GlorotNormal",
        "glorot_uniform=GlorotUniform",
        "he_normal=HeNormal",
        "he_uniform=HeUniform",
        "lecun_normal=LecunNormal",
        "lecun_uniform=LecunUniform",
        "variance_scaling=VarianceScaling",
    ),
}
__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "initializer")
)
