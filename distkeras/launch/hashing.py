"""One hash seed for all ranks: a set of strings has the same order everywhere.

Python hashes strings by a seed that each process draws, unless PYTHONHASHSEED is set when the
interpreter starts. A data set whose files are collected in a set would be in another order on every
rank. So a rank starts its interpreter again with the variable set, before anything else happens:
the process, its place in the job and its connection to the MPI launcher stay the same.

The seed is a constant. It need not be agreed on then, and a job that is repeated with its printed
`--seed` finds the same orders.
"""

import os
import sys
from collections.abc import MutableMapping

__all__ = ["fix", "set_for_children"]

_SEED = "0"


def set_for_children(environ: MutableMapping[str, str]) -> None:
    """Set the hash seed in an environment whose user has not.

    Args:
        environ: the variables for interpreters that are yet to start.

    Example:
        >>> environ = {}
        >>> set_for_children(environ)
        >>> environ
        {'PYTHONHASHSEED': '0'}
    """
    environ.setdefault("PYTHONHASHSEED", _SEED)


def fix() -> None:
    """Start this interpreter again, where it hashes by a seed of its own; returns where it need or
    can not.

    A PYTHONHASHSEED that the user set counts, also `random`. An interpreter that ignores its
    environment, runs under a debugger, or does not know its own path is left as it is.
    """
    if (
        not sys.flags.hash_randomization
        or sys.flags.ignore_environment
        or "PYTHONHASHSEED" in os.environ
        or sys.gettrace() is not None
        or not sys.executable
    ):
        return
    set_for_children(os.environ)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
