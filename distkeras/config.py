"""Settings of the whole process, and the one table of environment variables."""

import os
from dataclasses import dataclass

from distkeras.errors import ConfigurationError

__all__ = [
    "ENVIRONMENT",
    "backend",
    "dtype_policy",
    "environment",
    "epsilon",
    "floatx",
    "image_data_format",
    "seconds",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


@dataclass(frozen=True)
class EnvironmentVariable:
    """One environment variable that distkeras reads: its name, default and meaning."""

    name: str
    default: str
    meaning: str


# The only environment variables that distkeras reads, apart from those by which MPI launchers tell
# a process its rank.
ENVIRONMENT = {
    v.name: v
    for v in (
        EnvironmentVariable(
            "DISTKERAS_DEVICE", "auto", "cpu, cuda, or auto: CUDA where CuPy finds one"
        ),
        EnvironmentVariable(
            "DISTKERAS_NATIVE",
            "auto",
            "auto: compile kernels in the background; now: wait for them; 0: NumPy alone",
        ),
        EnvironmentVariable(
            "DISTKERAS_CACHE", "", "directory of compiled kernels, default ~/.cache/distkeras"
        ),
        EnvironmentVariable("DISTKERAS_PLUGINS", "1", "0: load no third-party plugin"),
        EnvironmentVariable("DISTKERAS_DATA", "", "a directory that holds data set files"),
        EnvironmentVariable(
            "DISTKERAS_RUN_DIR", "", "set by the launcher: directory of this start"
        ),
        EnvironmentVariable(
            "DISTKERAS_COMPARE_PARAMETERS",
            "1",
            "0: ranks do not compare their parameters at the end of each epoch",
        ),
        EnvironmentVariable(
            "DISTKERAS_GRACE",
            "30",
            "seconds from SIGTERM or SIGUSR1 to the end of a step; then the job is ended",
        ),
        EnvironmentVariable(
            "DISTKERAS_STEP_TIMEOUT",
            "60",
            "seconds that ranks wait for one that is inside a step; 0: for ever",
        ),
        EnvironmentVariable(
            "DISTKERAS_USER_TIMEOUT",
            "1800",
            "seconds that ranks wait for one that is in the program's own code; 0: for ever",
        ),
        EnvironmentVariable("DISTKERAS_RANK_PROCESS", "", "set in ranks: their process id"),
        EnvironmentVariable("KERAS_HOME", "", "Keras's directory, default ~/.keras"),
        EnvironmentVariable("NO_COLOR", "", "any value: no colours in the terminal"),
    )
}


def environment(name: str) -> str:
    """The value of one of the variables in `ENVIRONMENT`, or its default.

    Args:
        name: a key of `ENVIRONMENT`.

    Returns:
        The string that is set, or the default where nothing or an empty string is set.

    Example:
        >>> environment("DISTKERAS_PLUGINS") in ("0", "1")
        True
    """
    return os.environ.get(name) or ENVIRONMENT[name].default


def seconds(name: str) -> float:
    """The value of a variable in `ENVIRONMENT` that is a number of seconds.

    Args:
        name: a key of `ENVIRONMENT`.

    Returns:
        A float of at least 0.

    Raises:
        ConfigurationError: the variable holds something else.

    Example:
        >>> seconds("DISTKERAS_GRACE") >= 0
        True
    """
    text = environment(name)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name} must be a number of seconds of at least 0, got {text!r}.")
    return value


_FLOATX = "float32"
_EPSILON = 1e-7
_DATA_FORMAT = "channels_last"
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def floatx() -> str:
    """The default float dtype, a string, `"float32"` unless `set_floatx` changed it.

    Example:
        >>> floatx()
        'float32'
    """
    return _FLOATX


def set_floatx(value: str) -> None:
    """Set the default float dtype.

    Args:
        value: one of `"float16"`, `"bfloat16"`, `"float32"`, `"float64"`.

    Raises:
        ConfigurationError: for any other value.

    Example:
        >>> set_floatx("float32")
    """
    global _FLOATX
    if str(value) not in _FLOATS:
        raise ConfigurationError(f"Unknown `floatx` value: {value!r}. Expected one of {_FLOATS}.")
    _FLOATX = str(value)


def epsilon() -> float:
    """The small constant that guards divisions and logarithms, 1e-7 unless `set_epsilon` changed
    it.

    Example:
        >>> epsilon()
        1e-07
    """
    return _EPSILON


def set_epsilon(value: float) -> None:
    """Set the small constant that guards divisions and logarithms.

    Args:
        value: a positive float.

    Example:
        >>> set_epsilon(1e-7)
    """
    global _EPSILON
    if not value > 0:
        raise ConfigurationError(f"`epsilon` must be positive, got {value!r}.")
    _EPSILON = float(value)


def image_data_format() -> str:
    """The default image layout, `"channels_last"` unless `set_image_data_format` changed it.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    return _DATA_FORMAT


def set_image_data_format(data_format: str) -> None:
    """Set the default image layout.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        ConfigurationError: for any other value.

    Example:
        >>> set_image_data_format("channels_last")
    """
    global _DATA_FORMAT
    _DATA_FORMAT = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """`data_format` checked, with `None` standing for the default image layout.

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None`.

    Returns:
        The layout as a string.

    Raises:
        ConfigurationError: for any other value.

    Example:
        >>> standardize_data_format(None)
        'channels_last'
    """
    value = _DATA_FORMAT if data_format is None else str(data_format).lower()
    if value not in ("channels_last", "channels_first"):
        raise ConfigurationError(
            f"Unknown `data_format`: {data_format!r}. Expected 'channels_last' or 'channels_first'."
        )
    return value


def backend() -> str:
    """The name of what computes: `"distkeras"`, where Keras says `"tensorflow"`, `"jax"` or
    `"torch"`.

    Example:
        >>> backend()
        'distkeras'
    """
    return "distkeras"


def dtype_policy():
    """The default dtype policy of new layers, a `DTypePolicy`; it follows `floatx()` unless it was
    set."""
    from distkeras import dtype_policies

    return dtype_policies.dtype_policy()


def set_dtype_policy(policy) -> None:
    """Set the default dtype policy of new layers, as `keras.config.set_dtype_policy`.

    Args:
        policy: a name such as `"mixed_bfloat16"`, or a `DTypePolicy`.
    """
    from distkeras import dtype_policies

    dtype_policies.set_dtype_policy(policy)
