"""The one table of primitives, and how an entry is declared."""

from collections.abc import Callable, Sequence
from typing import Any

from distkeras.engine import batch as batch_rules
from distkeras.engine import special
from distkeras.engine.dispatch import bind
from distkeras.engine.expression import compile_expression

__all__ = ["PRIMITIVES", "Primitive", "elementwise", "primitive"]

PRIMITIVES: dict[str, "Primitive"] = {}


class Primitive:
    """One operation that the engine knows: everything about it in one place.

    Attributes:
        name: its key in `PRIMITIVES`.
        run: `(xp, *arrays, **params) -> array` (or a tuple of arrays where `outputs` is not 1), on
            any array module.
        shape: `(*specs, **params) -> (shape, dtype)` (or a list of them); a spec has `shape` and
            `_np_dtype`.
        batch: the batch-axis rule, see `engine/batch.py`.
        vjp: `(entry, *cotangents) -> cotangents of the inputs`, or `None` where the operation has
            no derivative.
        saves_inputs: which inputs the vjp reads, as indices; `saves_output`: whether it reads the
            outputs.
        view: whether the result may share memory with the first input.
        outputs: the number of outputs; 0 where it depends on the arguments.
        expression: the scalar expression of an elementwise primitive, with its argument names.
        vjp_into: `(entry, cotangent, index, out) -> bool`: computes the cotangent of one input into
            an array, or answers that it cannot; `None` where it never can.
    """

    __slots__ = (
        "batch",
        "expression",
        "name",
        "outputs",
        "run",
        "saves_inputs",
        "saves_output",
        "shape",
        "view",
        "vjp",
        "vjp_into",
    )

    def __init__(self, name, run, *, shape, batch, vjp, saves, view, outputs, expression=None):
        self.name = name
        self.run = run
        self.shape = shape
        self.batch = batch
        self.vjp = vjp
        names = saves.split()
        self.saves_inputs = (
            None if "x" in names else frozenset(int(n[1:]) for n in names if n[0] == "x")
        )
        self.saves_output = "y" in names
        self.view = view
        self.outputs = outputs
        self.expression = expression
        self.vjp_into: Callable[[Any, Any, int, Any], bool] | None = None

    def saves(self, index: int) -> bool:
        """Whether the vjp reads input `index`."""
        return self.saves_inputs is None or index in self.saves_inputs

    def __call__(self, *inputs, **params) -> Any:
        return bind(self, *inputs, **params)

    def __repr__(self):
        return f"<Primitive {self.name}>"


def _register(prim: Primitive) -> Primitive:
    if prim.name in PRIMITIVES:
        raise ValueError(f"A primitive named {prim.name!r} is declared already.")
    PRIMITIVES[prim.name] = prim
    return prim


def primitive(
    name: str,
    *,
    shape: Callable,
    batch: Callable = batch_rules.mixed,
    vjp: Callable | None = None,
    saves: str = "",
    view: bool = False,
    outputs: int = 1,
) -> Callable[[Callable], Primitive]:
    """Declare a primitive; decorates its computation `(xp, *arrays, **params)`.

    Args:
        name: a new name.
        shape: the shape rule.
        batch: the batch-axis rule; the default says that rows may mix.
        vjp: the vector-Jacobian product, in primitives.
        saves: what the vjp reads: `"x"` all inputs, `"x0 x2"` some, `"y"` the outputs.
        view: whether the result may share memory with the first input.
        outputs: the number of outputs, 0 where it varies.

    Returns:
        A decorator that returns the `Primitive`.

    Raises:
        ValueError: where the name is taken.
    """

    def declare(run):
        return _register(
            Primitive(
                name,
                run,
                shape=shape,
                batch=batch,
                vjp=vjp,
                saves=saves,
                view=view,
                outputs=outputs,
            )
        )

    return declare


def elementwise(
    name: str,
    expression: str,
    *,
    vjp: Callable | None = None,
    saves: str = "",
    names: Sequence[str] = (),
    dtype=None,
) -> Primitive:
    """Declare an elementwise primitive by one scalar expression.

    Args:
        name: a new name.
        expression: the expression, see `engine/expression.py`.
        vjp: the vector-Jacobian product, in primitives.
        saves: what it reads, as in `primitive`.
        names: the names of the inputs; by default the single letters `x`, `y`, `z` that occur. Any
            further names of the expression are parameters.
        dtype: the result's dtype name where it is not that of the inputs (`"bool"` for
            comparisons).

    Returns:
        The `Primitive`, whose inputs broadcast.
    """
    from distkeras.engine.shapes import elementwise_shape

    inputs, params = _names(expression, tuple(names))
    compiled = compile_expression(expression, inputs + params)

    if params or _has_numbers(expression):

        def run(xp, *arrays, **values):
            result = compiled(xp, *arrays, *[values[p] for p in params])
            # NumPy does not know that Python numbers are weak beside bfloat16 (kind "V"): it
            # computes in float32.
            if arrays[-1].dtype.kind == "V" and result.dtype.kind == "f":
                return result.astype(arrays[-1].dtype)
            return result

    else:
        run = compiled
    prim = Primitive(
        name,
        run,
        shape=elementwise_shape(dtype),
        batch=batch_rules.elementwise,
        vjp=vjp,
        saves=saves,
        view=False,
        outputs=1,
        expression=(expression, inputs, params),
    )
    return _register(prim)


def _has_numbers(expression: str) -> bool:
    """Whether an expression holds numbers, itself or in a function that `engine/special.py`
    composes."""
    import ast

    nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    calls = {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return bool(calls & special.FUNCTIONS.keys()) or any(isinstance(n, ast.Constant) for n in nodes)


def _names(expression: str, inputs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    import ast

    calls, found = set(), []
    tree = ast.parse(expression, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.add(node.func.id)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in calls and node.id not in found:
            found.append(node.id)
    inputs = inputs or tuple(n for n in ("x", "y", "z") if n in found)
    constants = {"pi", "inf", "nan", "True", "False"}
    return inputs, tuple(sorted(n for n in found if n not in inputs and n not in constants))
