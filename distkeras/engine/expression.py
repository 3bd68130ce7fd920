"""Scalar expressions: one text from which an elementwise computation follows for every device.

An expression is Python syntax over named scalars: numbers, `+ - * / // % **`, comparisons, `a if c
else b`, and the functions of `FUNCTIONS`. `compile_expression` renders it as a call sequence for an
array module. Statements of such expressions that run in place are in `updates.py`.
"""

import ast
import functools
import math
from collections.abc import Callable

import numpy as np

from distkeras.engine import special

__all__ = ["FUNCTIONS", "compile_expression"]

# Functions that an array module has under the same name.
FUNCTIONS = frozenset(
    "exp expm1 log log1p log2 log10 sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
    "arccosh arctanh "
    "abs sign floor ceil rint trunc maximum minimum power arctan2 where isnan isinf isfinite "
    "square fmod mod "
    "floor_divide logical_and logical_or logical_xor logical_not bitwise_and bitwise_or "
    "bitwise_xor invert "
    "left_shift right_shift hypot logaddexp nextafter copysign signbit heaviside gcd reciprocal "
    "real imag conj".split()
)
_CONSTANTS = {"pi": math.pi, "inf": math.inf, "nan": math.nan, "True": True, "False": False}


class _Renderer(ast.NodeTransformer):
    """Rewrites calls to the array module `xp` and conditionals to `xp.where`."""

    def __init__(self, source: str):
        self.source = source

    def visit_Call(self, node):
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in special.FUNCTIONS:
            node.func = ast.Attribute(ast.Name("special", ast.Load()), name, ast.Load())
            node.args.insert(0, ast.Name("xp", ast.Load()))
        elif name in FUNCTIONS:
            node.func = ast.Attribute(ast.Name("xp", ast.Load()), name, ast.Load())
        else:
            raise ValueError(f"Unknown function {name!r} in the expression {self.source!r}")
        return node

    def visit_IfExp(self, node):
        self.generic_visit(node)
        where = ast.Attribute(ast.Name("xp", ast.Load()), "where", ast.Load())
        return ast.Call(where, [node.test, node.body, node.orelse], [])

    def visit_Name(self, node):
        if node.id in _CONSTANTS:
            return ast.Constant(_CONSTANTS[node.id])
        return node


def _render(source: str, mode: str) -> ast.AST:
    return ast.fix_missing_locations(_Renderer(source).visit(ast.parse(source, mode=mode)))


@functools.cache
def compile_expression(source: str, names: tuple[str, ...]) -> Callable:
    """A function `(xp, *values)` that evaluates an expression on arrays of the module `xp`.

    Args:
        source: the expression.
        names: the names of its values, in the order of the function's arguments.

    Example:
        >>> import numpy as np
        >>> float(compile_expression("maximum(x, 0) * a", ("x", "a"))(np, 3.0, 2.0))
        6.0
    """
    body = ast.unparse(_render(source, "eval"))
    quiet = any(risk in body for risk in _RISKS)
    head = f"def run(xp, {', '.join(names)}):\n"
    # IEEE semantics without NumPy's warnings: log(0) is -inf, as on every other device.
    text = (
        head + ("    with errstate(all='ignore'):\n    " if quiet else "") + f"    return {body}\n"
    )
    scope = {"special": special, "errstate": np.errstate}
    exec(compile(text, f"<expression {source}>", "exec"), scope)
    return scope["run"]  # type: ignore[return-value]


_RISKS = (
    "/",
    "log",
    "exp",
    "sqrt",
    "power",
    "**",
    "hypot",
    "cosh",
    "sinh",
    "mod",
    "divide",
    "arc",
    "special",
    "reciprocal",
)
