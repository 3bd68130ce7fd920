"""Settings of the whole process, and the one table of environment variables."""

import os
from dataclasses import dataclass

from distkeras.errors import ConfigurationError

__all__ = [
    "ENVIRONMENT",
    "backend",
    "determinism",
    "dtype_policy",
    "environment",
    "environment_number",
    "epsilon",
    "floatx",
    "image_data_format",
    "seconds",
    "set_determinism",
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
        EnvironmentVariable(
            "DISTKERAS_SHARED_MEMORY",
            "auto",
            "bytes of memory that the ranks of a node may share, 0: they exchange messages",
        ),
        EnvironmentVariable(
            "DISTKERAS_SHARED_FROM",
            "65536",
            "bytes of gradients from which ranks share memory; smaller ones are sent",
        ),
        EnvironmentVariable(
            "DISTKERAS_RANKS_PER_NODE",
            "0",
            "how many ranks count as one node, to try out several; 0: those of one machine",
        ),
        EnvironmentVariable(
            "DISTKERAS_DETERMINISM", "reproducible", "fast or reproducible, see set_determinism"
        ),
        EnvironmentVariable(
            "DISTKERAS_RESTART_PAUSE", "1", "seconds before the first restart of --restarts"
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


def environment_number(name: str) -> int:
    """The value of one of the variables in `ENVIRONMENT` that count something.

    Args:
        name: a key of `ENVIRONMENT`.

    Raises:
        ConfigurationError: where it is no integer of at least 0.

    Example:
        >>> environment_number("DISTKERAS_RANKS_PER_NODE") >= 0
        True
    """
    value = environment(name)
    if not value.isdecimal():
        raise ConfigurationError(
            f"The environment variable {name} must be an integer of at least 0, got {value!r}: "
            f"{ENVIRONMENT[name].meaning}."
        )
    return int(value)


_FLOATX = "float32"
_EPSILON = 1e-7
_DATA_FORMAT = "channels_last"
_DETERMINISM: str | None = None
_DETERMINISMS = ("fast", "reproducible")
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


def determinism() -> str:
    """What is promised of the bits of a training: `"reproducible"` unless `set_determinism` or the
    launcher's `--determinism` changed it.

    Example:
        >>> determinism()
        'reproducible'
    """
    return _DETERMINISM or _checked_determinism(environment("DISTKERAS_DETERMINISM"))


def set_determinism(value: str) -> None:
    """Set what is promised of the bits of a training; the same on all ranks.

    Args:
        value: `"reproducible"`: two runs on equally many ranks and nodes give the same bits, since
            sums over ranks are made in one order; `"fast"`: the MPI library may choose the order
            where gradients travel as messages.

    Raises:
        ConfigurationError: for any other value.

    Example:
        >>> set_determinism("reproducible")
    """
    global _DETERMINISM
    _DETERMINISM = _checked_determinism(value)


def _checked_determinism(value: str) -> str:
    if value not in _DETERMINISMS:
        raise ConfigurationError(
            f"Unknown `determinism`: {value!r}. Expected one of {_DETERMINISMS}."
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
