"""Statements on flat arrays as one pass over memory.

NumPy runs a statement at a time, each with its own pass; ten million parameters leave every cache
in between. Here the statements are the body of one loop.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras.kernels.cpu.kernel import Kernel

__all__ = ["FlatKernel", "Operation", "flat_kernel"]


class Operation(NamedTuple):
    """`target = function(operands)` for every element.

    Attributes:
        function: a NumPy ufunc's name, `where` or `copy`.
        operands: names of arrays, of numbers, and of earlier targets.
        target: the name of an array, or of a value that only later operations read.
    """

    function: str
    operands: tuple[str, ...]
    target: str


# What IEEE arithmetic decides to the last bit. NaN passes through maximum and minimum as in NumPy.
_C = {
    "copy": "{0}",
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "true_divide": "{0} / {1}",
    "negative": "-{0}",
    "square": "{0} * {0}",
    "sqrt": "SQRT({0})",
    "abs": "ABS({0})",
    "sign": "({0} > 0) ? 1 : ({0} < 0) ? -1 : ({0} == 0) ? 0 : {0}",
    "maximum": "({0} != {0} || {0} > {1}) ? {0} : {1}",
    "minimum": "({0} != {0} || {0} < {1}) ? {0} : {1}",
    "where": "{0} ? {1} : {2}",
}
_COMPARISONS = {
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
}
_TYPES = {
    "float32": (
        "float",
        ctypes.c_float,
        "#define SQRT __builtin_sqrtf\n#define ABS __builtin_fabsf\n",
    ),
    "float64": (
        "double",
        ctypes.c_double,
        "#define SQRT __builtin_sqrt\n#define ABS __builtin_fabs\n",
    ),
}


class FlatKernel:
    """One loop over flat arrays; see `flat_kernel`."""

    def __init__(self, source: str, arrays: int, numbers: int, number_type: Any):
        types = (ctypes.c_ssize_t, *[ctypes.c_void_p] * arrays, *[number_type] * numbers)
        self._kernel = Kernel(source, types)

    def run(self, arrays: Sequence[np.ndarray], numbers: Sequence[float]) -> bool:
        """Run over all elements, in place; whether that was done.

        Args:
            arrays: C-contiguous arrays of one length and of the kernel's dtype.
            numbers: Python numbers.
        """
        size = arrays[0].size
        function = self._kernel.after(size)
        if function is None:
            return False
        places = [a.__array_interface__["data"][0] for a in arrays]
        if len(set(places)) != len(places) or not all(a.flags.c_contiguous for a in arrays):
            return False
        function(size, *places, *numbers)
        return True


def flat_kernel(
    operations: Sequence[Operation], arrays: Sequence[str], numbers: Sequence[str], dtype: str
) -> FlatKernel | None:
    """A kernel for statements, where all their functions are exact.

    Args:
        operations: the statements.
        arrays: names of the arrays, in the order of the call.
        numbers: names of the numbers, likewise.
        dtype: `"float32"` or `"float64"`.

    Returns:
        The kernel, or `None`.

    Example:
        >>> flat_kernel([Operation("exp", ("a",), "a")], ("a",), (), "float32") is None
        True
    """
    known = {*_C, *_COMPARISONS}
    if dtype not in _TYPES or any(o.function not in known for o in operations):
        return None
    c_type, number_type, head = _TYPES[dtype]
    written = {o.target for o in operations}
    parameters = ["long n"]
    for name in arrays:
        parameters.append(f"{'' if name in written else 'const '}{c_type} *restrict {name}")
    parameters += [f"{c_type} {name}" for name in numbers]
    places = {name: f"{name}[i]" for name in arrays}
    declared: dict[str, str] = {}
    lines = []
    for function, operands, target in operations:
        values = [places.get(o, o) for o in operands]
        if function in _COMPARISONS:
            kind, value = "int", _COMPARISONS[function].format(*values)
        else:
            kind, value = c_type, _C[function].format(*values)
        if target not in places and declared.setdefault(target, kind) != kind:
            return None
        lines.append(f"{places.get(target, target)} = {value};")
    source = (
        f'{head}__attribute__((visibility("default")))\n'
        f"void run({', '.join(parameters)}) {{\n"
        "  for (long i = 0; i < n; i++) {\n"
        + "".join(f"    {kind} {name};\n" for name, kind in declared.items())
        + "".join(f"    {line}\n" for line in lines)
        + "  }\n}\n"
    )
    return FlatKernel(source, len(arrays), len(numbers), number_type)
