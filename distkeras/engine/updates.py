"""Update rules: statements over flat arrays, compiled to calls that write in place.

The language is that of `expression.py`, one `name = expression` a line. A name is a flat array, a
number, or a temporary; what is made of numbers alone is computed once, in double precision.

a) Each statement becomes ufunc calls with `out=`: into the array that is assigned, or into a
   scratch register, which is free again after its last use. No call allocates memory.
b) On the CPU the calls run on blocks that stay in cache. `_BLOCK` was measured with Adam on ten
   million float32 parameters: blocks of 16,384 elements take 19.8 ms, 65,536 take 17.5 ms, one
   block for all takes 31 ms; on 670,000 parameters the three are level within noise.
c) Where all functions of a rule are exact, a kernel does the same in one pass over memory as soon
   as there was enough work to compile it for (`kernels/cpu/flat.py`), with the same bits.
d) Half-precision arrays (float16, bfloat16) are computed in float32 block by block and rounded
   once, when they are stored: squares of gradients and `1e-7` have no room in float16.
"""

import ast
import functools
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras.engine import special
from distkeras.engine.expression import FUNCTIONS
from distkeras.errors import ArgumentError
from distkeras.kernels.cpu.flat import Operation, flat_kernel

__all__ = ["Update", "compile_numbers", "compile_update", "square_sum"]

_BLOCK = 65536  # elements
_OPERATORS = {
    ast.Add: ("add", "+"),
    ast.Sub: ("subtract", "-"),
    ast.Mult: ("multiply", "*"),
    ast.Div: ("true_divide", "/"),
    ast.Pow: ("power", "**"),
}
_COMPARISONS = {
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
# Their results are truth values, or are chosen by one: they get an array of their own.
_WITHOUT_OUT = (
    frozenset("where isnan isinf isfinite signbit".split())
    | frozenset(name for name in FUNCTIONS if name.startswith("logical"))
    | frozenset(_COMPARISONS.values())
)
_HOST_FUNCTIONS = {
    "sqrt": "sqrt", "exp": "exp", "log": "log", "cos": "cos", "floor": "floor",
}  # fmt: skip


class _Operand(NamedTuple):
    """What an expression stands for: `kind` is number, array, register or fresh."""

    kind: str
    text: str


class _Emitter:
    """Turns statements into lines of calls, and numbers into a list of host expressions."""

    def __init__(self, source: str, arrays: Sequence[str], scalars: Sequence[str]):
        self.source = source
        self.arrays, self.scalars = frozenset(arrays), frozenset(scalars)
        text = "\n".join(line.strip() for line in source.replace(";", "\n").splitlines())
        self.statements = [self._checked(s) for s in ast.parse(text).body]
        self.written = {name for name, _ in self.statements if name in self.arrays}
        self.operations: list[Operation] = []
        self.numbers: dict[str, str] = {}  # host expression -> its name in the body
        self.registers = 0
        self._free: list[str] = []
        self._claims: dict[str, int] = {}  # register -> how many names and operands need it
        self._names: dict[str, tuple[_Operand, int]] = {}  # temporary -> (operand, loads left)
        self._fresh = 0
        for i, (name, value) in enumerate(self.statements):
            self._statement(i, name, value)

    def _checked(self, statement) -> tuple[str, ast.expr]:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Name) or len(statement.targets) > 1:
            raise ArgumentError(
                "Only `name = expression` may stand in an update rule, "
                f"got {ast.unparse(statement)!r}."
            )
        if target.id in self.scalars:
            raise ArgumentError(f"The number {target.id!r} cannot be assigned in {self.source!r}.")
        return target.id, statement.value

    def _statement(self, i: int, name: str, value: ast.expr) -> None:
        if name in self.arrays:
            found = self._value(value, name)
            if found.text != name:
                self.operations.append(Operation("copy", (self._text(found),), name))
            self._drop(found)
            return
        loads = self._loads(i, name)
        found = self._value(value, None)
        if found.kind == "array" and found.text in self.written:
            register = self._take()  # the array changes later; the name keeps what it was
            self.operations.append(Operation("copy", (found.text,), register))
            found = _Operand("register", register)
        self._names[name] = (found, loads)  # the operand's claim is the name's from here on
        if not loads:
            self._drop(found)

    def _loads(self, i: int, name: str) -> int:
        """How often a temporary is read before it is assigned again."""
        count = 0
        for target, value in self.statements[i + 1 :]:
            count += sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(value))
            if target == name:
                break
        return count

    # --- registers ---

    def _take(self) -> str:
        if not self._free:
            self._free.append(f"_r{self.registers}")
            self.registers += 1
        register = self._free.pop()
        self._claims[register] = 1
        return register

    def _drop(self, operand: _Operand) -> None:
        """An operand was used, or a name is not read any more."""
        if operand.kind == "register":
            self._claims[operand.text] -= 1
            if not self._claims[operand.text]:
                self._free.append(operand.text)

    # --- expressions ---

    def _text(self, operand: _Operand) -> str:
        """An operand as it stands in a call: numbers by the name that holds them."""
        if operand.kind != "number":
            return operand.text
        return self.numbers.setdefault(operand.text, f"_s{len(self.numbers)}")

    def _value(self, node: ast.expr, out: str | None) -> _Operand:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return _Operand("number", repr(node.value))
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = self._value(node.operand, None)
            if operand.kind == "number":
                return _Operand("number", f"(-{operand.text})")
            return self._call("negative", [operand], out)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            function, sign = _OPERATORS[type(node.op)]
            left, right = self._value(node.left, None), self._value(node.right, None)
            if left.kind == right.kind == "number":
                return _Operand("number", f"({left.text} {sign} {right.text})")
            return self._call(function, [left, right], out)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            function = _COMPARISONS[type(node.ops[0])]
            operands = [self._value(n, None) for n in (node.left, node.comparators[0])]
            return self._call(function, operands, None)
        if isinstance(node, ast.IfExp):
            operands = [self._value(n, None) for n in (node.test, node.body, node.orelse)]
            return self._call("where", operands, None)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._function(node.func.id, [self._value(n, None) for n in node.args], out)
        raise ArgumentError(
            f"{ast.unparse(node)!r} may not stand in the update rule {self.source!r}."
        )

    def _name(self, name: str) -> _Operand:
        if name in self.arrays:
            return _Operand("array", name)
        if name in self.scalars:
            return _Operand("number", name)
        if name not in self._names:
            raise ArgumentError(f"Unknown name {name!r} in the update rule {self.source!r}.")
        operand, loads = self._names[name]
        self._names[name] = (operand, loads - 1)
        if loads > 1 and operand.kind == "register":
            self._claims[operand.text] += 1  # the last reader takes over the name's own claim
        return operand

    def _function(self, name: str, operands: list[_Operand], out: str | None) -> _Operand:
        if all(o.kind == "number" for o in operands):
            arguments = ", ".join(o.text for o in operands)
            if name in _HOST_FUNCTIONS:
                return _Operand("number", f"F.{_HOST_FUNCTIONS[name]}({arguments})")
            if name in ("minimum", "maximum"):
                return _Operand("number", f"{name[:3]}({arguments})")
        if name in special.FUNCTIONS:
            return self._call(f"special.{name}", operands, None)
        if name not in FUNCTIONS:
            raise ArgumentError(f"Unknown function {name!r} in the update rule {self.source!r}.")
        return self._call(name, operands, out)

    def _call(self, function: str, operands: list[_Operand], out: str | None) -> _Operand:
        texts = [self._text(o) for o in operands]
        for operand in operands:
            self._drop(operand)
        if function.startswith("special.") or function in _WITHOUT_OUT:
            self._fresh += 1
            target, kind = f"_f{self._fresh}", "fresh"
        else:
            target, kind = (out, "array") if out else (self._take(), "register")
        self.operations.append(Operation(function, tuple(texts), target))
        return _Operand(kind, target)

    # --- as Python ---

    @property
    def functions(self) -> list[str]:
        """Names that the lines take from the array module."""
        names = {o.function for o in self.operations}
        return sorted(n for n in names if n != "copy" and not n.startswith("special."))

    @property
    def lines(self) -> list[str]:
        """The operations as calls."""
        return [_line(*operation) for operation in self.operations]


def _line(function: str, operands: tuple[str, ...], target: str) -> str:
    arguments = ", ".join(operands)
    if function == "copy":
        return f"{target}[...] = {arguments}"
    if function.startswith("special."):
        return f"{target} = {function}(xp, {arguments})"
    if target.startswith("_f"):
        return f"{target} = {function}({arguments})"
    return f"{function}({arguments}, out={target})"


def _numbers(source: str, expressions: Iterable[str], names: Sequence[str]) -> Callable:
    """A function of numbers that answers a tuple of numbers, IEEE where Python would raise."""
    body = "".join(f"{e}, " for e in expressions)
    scope: dict[str, Any] = {"min": min, "max": max}
    exec(compile(f"def run(F, {', '.join(names)}):\n    return ({body})\n", source, "exec"), scope)
    run = scope["run"]

    def numbers(*values):
        try:
            return run(math, *values)
        except (ArithmeticError, ValueError):
            with np.errstate(all="ignore"):
                return tuple(float(x) for x in run(np, *(np.float64(v) for v in values)))

    return numbers


_kept = threading.local()  # registers of this thread, since a large allocation costs page faults


def _scratch(xp, count: int, size: int, dtype) -> list:
    """Uninitialised registers."""
    if xp is not np or size > _BLOCK:
        return [xp.empty(size, dtype) for _ in range(count)]
    registers = _kept.__dict__.setdefault(dtype.char, [])
    while len(registers) < count:
        registers.append(np.empty(_BLOCK, dtype))
    return [r[:size] for r in registers[:count]]


class Update:
    """A compiled update rule: called with an array module, flat arrays and numbers.

    Attributes:
        written: names of the arrays that it changes.
    """

    def __init__(self, source: str, arrays: tuple[str, ...], scalars: tuple[str, ...]):
        emitter = _Emitter(source, arrays, scalars)
        self.written = tuple(name for name in arrays if name in emitter.written)
        self._stored = tuple(i for i, name in enumerate(arrays) if name in emitter.written)
        self._registers = emitter.registers
        self._numbers = _numbers(f"<update rule {source}>", emitter.numbers, scalars)
        registers = [f"_r{i}" for i in range(emitter.registers)]
        arguments = ", ".join([*registers, *arrays, *emitter.numbers.values()])
        names = (emitter.operations, arrays, tuple(emitter.numbers.values()))
        self._kernel = functools.cache(functools.partial(flat_kernel, *names))
        text = "def bind(xp):\n"
        text += "".join(f"    {name} = xp.{name}\n" for name in emitter.functions)
        text += f"    def body({arguments}):\n"
        text += "".join(f"        {line}\n" for line in emitter.lines or ["pass"])
        text += "    return body\n"
        scope: dict[str, Any] = {"special": special}
        exec(compile(text, f"<update rule {source}>", "exec"), scope)
        self._bind = functools.cache(scope["bind"])

    def __call__(
        self,
        xp,
        arrays: Sequence,
        scalars: Sequence[float],
        block: int = _BLOCK,
        before: Callable[[int, int, list], None] | None = None,
        after: Callable[[int, int, list], None] | None = None,
    ) -> None:
        """Run on flat arrays of one dtype and length, in place.

        Args:
            xp: the arrays' module.
            arrays: in the order of the names given when compiling.
            scalars: likewise, Python numbers.
            block: how many elements are computed at once on the CPU.
            before: called for each block with where it starts and stops and the list of its arrays,
                in which it may put another array in an array's place.
            after: called likewise when the block is done.
        """
        size, dtype = arrays[0].size, arrays[0].dtype
        if not size or xp is None:  # the null device has no arithmetic
            return
        half = dtype.itemsize < 4
        work = np.dtype("float32") if half else dtype
        body = self._bind(xp)
        numbers = self._numbers(*scalars)
        given = numbers
        kernel = self._kernel(work.name) if xp is np and not half else None
        whole = before is None and after is None
        if kernel is not None and whole and kernel.run(arrays, given):
            return
        with np.errstate(all="ignore"):
            if xp is np:
                # A ufunc converts an array of no axes faster than a Python float.
                numbers = [np.array(x, work) for x in numbers]
            else:
                block = size
            scratch = _scratch(xp, self._registers, min(size, block), work)
            for i in range(0, size, block):
                j = min(i + block, size)
                if j - i < block < size:
                    scratch = [r[: j - i] for r in scratch]
                views = [a[i:j] for a in arrays]
                if before is not None:
                    before(i, j, views)
                if half:
                    self._half(body, scratch, views, numbers, work)
                elif kernel is None or whole or not kernel.run(views, given):
                    body(*scratch, *views, *numbers)
                if after is not None:
                    after(i, j, views)

    def _half(self, body, scratch, views, numbers, work) -> None:
        wide = [v.astype(work) for v in views]
        body(*scratch, *wide, *numbers)
        for i in self._stored:
            views[i][...] = wide[i]


@functools.cache
def compile_update(source: str, arrays: tuple[str, ...], scalars: tuple[str, ...] = ()) -> Update:
    """Statements on flat arrays, as a callable `(xp, arrays, scalars)` that runs them in place.

    Args:
        source: statements `name = expression`, one a line or separated by `;`. A name in `arrays`
            is written in place, any other name is a temporary.
        arrays: names of the flat arrays, all of one length and dtype.
        scalars: names of Python numbers.

    Raises:
        ArgumentError: for anything else than statements, or unknown names and functions.

    Example:
        >>> import numpy as np
        >>> p, g = np.ones(3, "float32"), np.ones(3, "float32")
        >>> compile_update("p = p - lr * g", ("p", "g"), ("lr",))(np, (p, g), (0.5,))
        >>> p.tolist()
        [0.5, 0.5, 0.5]
    """
    return Update(source, arrays, scalars)


@functools.cache
def compile_numbers(expression: str, names: tuple[str, ...]) -> Callable[..., float]:
    """An expression of numbers alone, as a function computed in double precision.

    Args:
        expression: an expression of the language.
        names: of its numbers, in the order of the function's arguments.

    Example:
        >>> compile_numbers("1 - b ** t", ("b", "t"))(0.5, 2)
        0.75
    """
    emitter = _Emitter(f"result = {expression}", (), names)
    operand = emitter._names["result"][0]
    numbers = _numbers(f"<{expression}>", (operand.text,), names)
    return lambda *values: numbers(*values)[0]


def square_sum(xp, flat) -> float:
    """The sum of the squares of a flat array, a Python float.

    Example:
        >>> import numpy as np
        >>> square_sum(np, np.array([3.0, 4.0], "float32"))
        25.0
    """
    if xp is None:  # the null device: no values, no sum
        return 0.0
    if flat.dtype.itemsize < 4:
        flat = flat.astype(np.float32)
    with np.errstate(all="ignore"):
        return float(xp.dot(flat, flat))
