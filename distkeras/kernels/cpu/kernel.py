"""`Kernel`: a C function that appears when it is compiled, and is only compiled when it pays."""

import threading
from collections.abc import Callable
from typing import Any

from distkeras import config
from distkeras.kernels.cpu import compiler

__all__ = ["Kernel"]

# In elements, of which NumPy passes a few hundred million a second. A library in the cache is
# loaded in a millisecond, a compiler takes a hundred.
LOAD_AFTER = 1_000_000
COMPILE_AFTER = 30_000_000
_NEVER = 2**63


class Kernel:
    """A function of a C text.

    Args:
        source: the C text; the function in it is exported as `run`.
        arguments: ctypes types of its arguments.

    Example:
        >>> import ctypes
        >>> text = "__attribute__((visibility(\\"default\\"))) int run(int x) { return 2 * x; }"
        >>> kernel = Kernel(text, (ctypes.c_int,))
        >>> function = kernel.after(10)  # so little work pays for no compiler
        >>> function is None
        True
    """

    def __init__(self, source: str, arguments: tuple[Any, ...]):
        self._source = source
        self._arguments = arguments
        self._function: Callable | None = None
        self._mode = config.environment("DISTKERAS_NATIVE")
        self._work = 0
        self._next = {"0": _NEVER, "now": 0}.get(self._mode, LOAD_AFTER)
        self._looked = False
        self._lock = threading.Lock()

    def after(self, work: int) -> Callable | None:
        """Count work, and see whether the function is there.

        Args:
            work: elements that are to be computed now.

        Returns:
            The function, which may compute them; or `None`: then NumPy must.
        """
        if self._function is None:
            self._work += work
            if self._work >= self._next and self._lock.acquire(blocking=False):
                try:
                    self._try()
                finally:
                    self._lock.release()
        return self._function

    def _try(self) -> None:
        if self._mode != "now" and not self._looked:
            self._looked, self._next = True, COMPILE_AFTER
            self._take(compiler.find(self._source))
            return
        self._next = _NEVER
        thread = threading.Thread(target=self._build, name="distkeras-compiler", daemon=True)
        thread.start()
        if self._mode == "now":
            thread.join()

    def _build(self) -> None:
        found = compiler.build(self._source)
        if found == compiler.BUSY:
            self._next = self._work + (0 if self._mode == "now" else COMPILE_AFTER)
        else:
            self._take(found)

    def _take(self, library: Any) -> None:
        if library is not None:
            function = library.run
            function.argtypes, function.restype = self._arguments, None
            self._function = function
