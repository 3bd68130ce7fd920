"""Every exception that distkeras raises on purpose.

    DistkerasError
    ├── ConfigurationError (ValueError)      a setting or environment variable makes no sense
    ├── ShapeError (ValueError)              shapes that an operation or a layer cannot take
    ├── DTypeError (TypeError)               dtypes that an operation cannot take
    ├── DeviceError (RuntimeError)           arrays of two devices, or a device that is not there
    ├── GradientError (ValueError)           a gradient that cannot be answered as asked for
    ├── AbstractValueError (TypeError)       a value was read where only shapes are known
    ├── ArgumentError (ValueError)           an argument outside its domain
    ├── UnknownNameError (ValueError)        a string that names no layer, loss, optimizer, ...
    │   └── UnknownFieldError (KeyError)     a file name's pattern asks for what is not there
    ├── UnknownVariableError (ValueError)    a variable that the optimizer was not built with
    ├── NotSettableError (TypeError)         an attribute that follows from others was assigned
    ├── NotInitializedError (RuntimeError)   a subclass left out `super().__init__()`
    ├── NotBuiltError (ValueError)           state was asked for before it was created
    ├── NotCompiledError (ValueError)        training was asked for before `compile()`
    ├── DataError (ValueError)               training data that cannot be used as given
    ├── DatasetNotFoundError (FileNotFoundError)  files of a data set that are not on this machine
    ├── SavingError (ValueError)             a file that cannot be written or read
    │   ├── UnreadableFileError (OSError)    a file that is not there or may not be read
    │   ├── UnwritableFileError (OSError)    the disk is full, read-only, or refuses to be written
    │   ├── CheckpointError                  a run's checkpoint is damaged, or of another program
    │   ├── UnsafeFileError                  a file that asks for code, or is built to do harm
    │   └── UnknownObjectError (TypeError)   a file names a class or function that nobody provides
    │       └── MissingPluginError (PluginError)  ... which an installed plugin provided
    ├── PluginError (RuntimeError)           a plugin that is missing, broken or in conflict
    ├── LaunchError (RuntimeError)           a job or a program that cannot be started as asked
    ├── MPIMissingError (ImportError)        several processes, and MPI is not installed
    ├── LauncherMismatchError (RuntimeError) launcher and MPI library do not belong together
    ├── CollectiveMismatchError (RuntimeError)  ranks called different collectives
    └── ParameterMismatchError (RuntimeError)   ranks hold different parameters

    UnlaunchedWarning (UserWarning)          independent trainings run where one was meant
    PluginWarning (UserWarning)              a plugin is broken and left out
    WholeBatchWarning (UserWarning)          rows meet rows of other ranks, which has a cost

Each also derives from the built-in exception that Keras raises in its place, so code written for
Keras catches it. A message says what was expected, what came, where, and what to do.
"""

__all__ = [
    "AbstractValueError",
    "ArgumentError",
    "CheckpointError",
    "CollectiveMismatchError",
    "ConfigurationError",
    "DTypeError",
    "DataError",
    "DatasetNotFoundError",
    "DeviceError",
    "DistkerasError",
    "GradientError",
    "LaunchError",
    "LauncherMismatchError",
    "MPIMissingError",
    "MissingPluginError",
    "NotBuiltError",
    "NotCompiledError",
    "NotInitializedError",
    "NotSettableError",
    "ParameterMismatchError",
    "PluginError",
    "PluginWarning",
    "SavingError",
    "ShapeError",
    "UnknownFieldError",
    "UnknownNameError",
    "UnknownObjectError",
    "UnknownVariableError",
    "UnlaunchedWarning",
    "UnreadableFileError",
    "UnsafeFileError",
    "UnwritableFileError",
    "WholeBatchWarning",
]


class DistkerasError(Exception):
    """The root of all errors that distkeras raises on purpose."""


class ConfigurationError(DistkerasError, ValueError):
    """A setting or an environment variable has a value that makes no sense."""


class ShapeError(DistkerasError, ValueError):
    """Shapes do not fit an operation or a layer."""


class DTypeError(DistkerasError, TypeError):
    """A dtype is unknown, or an operation cannot take it."""


class DeviceError(DistkerasError, RuntimeError):
    """Arrays of two devices met in one operation, or a device is not available."""


class GradientError(DistkerasError, ValueError):
    """A gradient was asked for in a way that cannot be answered."""


class AbstractValueError(DistkerasError, TypeError):
    """A value was read while only shapes and dtypes are known (shape inference, graphs)."""


class ArgumentError(DistkerasError, ValueError):
    """An argument lies outside its domain."""


class UnknownNameError(DistkerasError, ValueError):
    """A string names no known layer, loss, metric, optimizer, initializer, ..."""


class UnknownFieldError(UnknownNameError, KeyError):
    """A pattern of file names asks for a value that is not there; Keras raises `KeyError`."""

    __str__ = Exception.__str__  # KeyError's own would quote the message


class UnknownVariableError(DistkerasError, ValueError):
    """An optimizer was given a variable that it was not built with."""


class NotSettableError(DistkerasError, TypeError):
    """An attribute that follows from something else, such as a schedule, was assigned."""


class NotInitializedError(DistkerasError, RuntimeError):
    """The `__init__` of a user's subclass did not call `super().__init__()`."""


class NotBuiltError(DistkerasError, ValueError):
    """State (weights, shapes) was asked for before the layer or model was built."""


class NotCompiledError(DistkerasError, ValueError):
    """Training or evaluation was asked for before `compile()`."""


class DataError(DistkerasError, ValueError):
    """Training data cannot be used as given: lengths, emptiness, types, NaN where none may be."""


class DatasetNotFoundError(DistkerasError, FileNotFoundError):
    """The files of a data set are not on this machine, and nothing is ever downloaded."""


class SavingError(DistkerasError, ValueError):
    """A model or weights file cannot be written or read."""


class UnreadableFileError(OSError, SavingError):
    """A file that should be loaded is not there, or may not be read."""


class UnwritableFileError(OSError, SavingError):
    """A file could not be written; what was there before is untouched."""


class CheckpointError(SavingError):
    """A checkpoint of a run is damaged, or belongs to another program, model or data."""


class UnsafeFileError(SavingError):
    """A file asks for code to be run, reaches outside itself, or declares absurd sizes."""


class UnknownObjectError(SavingError, TypeError):
    """A file or configuration names a class or function that nobody provides."""


class PluginError(DistkerasError, RuntimeError):
    """A plugin is missing, cannot be imported, or two plugins provide one name."""


class MissingPluginError(UnknownObjectError, PluginError):
    """A file needs an object of a plugin that is not installed."""


class LaunchError(DistkerasError, RuntimeError):
    """A job or a program cannot be started as asked."""


class MPIMissingError(DistkerasError, ImportError):
    """A launcher started several processes, but mpi4py or its MPI library is not installed."""


class LauncherMismatchError(DistkerasError, RuntimeError):
    """The launcher and the MPI library do not belong together: every process would train alone."""


class CollectiveMismatchError(DistkerasError, RuntimeError):
    """Ranks called different collectives, or one collective with data that does not fit."""


class ParameterMismatchError(DistkerasError, RuntimeError):
    """Ranks that train one model hold different parameters."""


class UnlaunchedWarning(UserWarning):
    """A launcher started several processes that do not know each other."""


class WholeBatchWarning(UserWarning):
    """An operation relates rows of the batch to each other: each rank computes it for all rows."""


class PluginWarning(UserWarning):
    """An installed plugin is broken, or clashes with another one, and is left out."""
