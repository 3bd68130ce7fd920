"""Run the user's program as `__main__`.

The standard library's `runpy` removes the program's `__main__` when it ends, and puts frames of its
own into tracebacks. Here the module stays: threads, exit handlers and pickles that need it later
find it.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType

from distkeras.errors import LaunchError

__all__ = ["run_target"]

_launcher_main: list[ModuleType] = []


def run_target(target: str, arguments: Sequence[str]) -> None:
    """Run a program to its end; what it raises passes through.

    Args:
        target: the path of a script (or of a directory with a `__main__.py`), a module's name, or
            `module:function`.
        arguments: `sys.argv` behind the program's name.

    Raises:
        LaunchError: there is no such program.
        SystemExit: the program's own, or the int that a function returned.
    """
    if os.path.isfile(target) or target.endswith(".py") or os.sep in target:
        _run_script(target, arguments)
    elif ":" in target:
        _run_function(target, arguments)
    else:
        _run_module(target, arguments)


def _run_script(path: str, arguments: Sequence[str]) -> None:
    sys.argv = [path, *arguments]
    file = os.path.abspath(path)
    if os.path.isdir(file):
        file = os.path.join(file, "__main__.py")
    try:
        with open(file, "rb") as opened:
            source = opened.read()
    except OSError as error:
        raise LaunchError(
            f"Cannot read the program {file}: {error.strerror}. Expected a script, a module's name "
            f"(without .py) or module:function; the current directory is {os.getcwd()}."
        ) from error
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(file))
    module = _new_main(file, importlib.machinery.SourceFileLoader("__main__", file))
    _run(compile(source, file, "exec", dont_inherit=True), module)


def _run_module(name: str, arguments: Sequence[str]) -> None:
    sys.argv = [name, *arguments]
    _look_in_current_directory()
    spec = _find(name)
    if spec.submodule_search_locations is not None:
        spec = _find(f"{name}.__main__")
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code is not None else None
    if code is None or spec.origin is None:
        raise LaunchError(f"The module {name} has no Python code to run (found: {spec.origin}).")
    sys.argv[0] = spec.origin
    module = _new_main(spec.origin, spec.loader)
    module.__spec__, module.__package__ = spec, spec.parent
    _run(code, module)


def _run_function(target: str, arguments: Sequence[str]) -> None:
    sys.argv = [target, *arguments]
    _look_in_current_directory()
    name, _, path = target.partition(":")
    _find(name)
    found: object = importlib.import_module(name)
    for part in path.split("."):
        if not hasattr(found, part):
            raise LaunchError(f"The module {name} has no function {path!r} (from {target!r}).")
        found = getattr(found, part)
    if not callable(found):
        raise LaunchError(f"{target} is no function but of type {type(found).__name__}.")
    result = _call(found)
    if isinstance(result, int) and not isinstance(result, bool):
        raise SystemExit(result)


def _look_in_current_directory() -> None:
    """`python -m` has put it there; a console script has put its own directory."""
    if not sys.flags.safe_path and not {"", os.getcwd()} & set(sys.path[:1]):
        sys.path.insert(0, os.getcwd())


def _find(name: str) -> importlib.machinery.ModuleSpec:
    missing = None
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a package above it exists, and fails by itself
        spec, missing = None, error.name
    except (ImportError, ValueError) as error:
        raise LaunchError(f"{name!r} cannot be a program: {error}.") from error
    if spec is None:
        raise LaunchError(
            f"There is no script and no module named {missing or name!r}. Expected a script's path "
            "(train.py), a module's name or module:function; the current directory is "
            f"{os.getcwd()}."
        )
    return spec


def _new_main(file: str, loader: object) -> ModuleType:
    module = ModuleType("__main__")
    module.__file__ = file
    module.__loader__ = loader  # type: ignore[assignment]
    module.__dict__["__cached__"] = None
    module.__package__ = None
    _launcher_main.append(sys.modules["__main__"])  # its code is still running
    sys.modules["__main__"] = module
    return module


def _run(code: CodeType, module: ModuleType) -> None:
    exec(code, module.__dict__)


def _call(function: Callable[[], object]) -> object:
    return function()
