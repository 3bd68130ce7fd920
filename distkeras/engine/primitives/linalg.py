"""Products of matrices. Half precision is multiplied in float32."""

from distkeras.devices.base import device_of
from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.reduce import sum_to
from distkeras.engine.primitives.shape import transpose
from distkeras.engine.shapes import broadcast
from distkeras.errors import ShapeError


def _matmul_shape(x, y):
    a, b = x.shape, y.shape
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ShapeError(
            f"Matrix product of shapes {a} and {b}: the last axis of the first must equal the axis "
            "before the last of the "
            "second."
        )
    return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1]), x._np_dtype


def swap(x):
    """`x` with its last two axes exchanged."""
    rank = len(x.shape)
    return transpose(x, axes=(*range(rank - 2), rank - 1, rank - 2))


def _matmul_vjp(e, g):
    x, y = e.x
    return (
        sum_to(matmul(g, swap(y)), e.shapes[0]) if e.needs[0] else None,
        sum_to(matmul(swap(x), g), e.shapes[1]) if e.needs[1] else None,
    )


@primitive("matmul", shape=_matmul_shape, batch=batch.matmul, vjp=_matmul_vjp, saves="x")
def matmul(xp, x, y):
    if x.dtype.itemsize == 2:
        return xp.matmul(x.astype("float32"), y.astype("float32")).astype(x.dtype)
    return xp.matmul(x, y)


def _matmul_vjp_into(e, g, index, out) -> bool:
    x, g = e.x[0].array, g.array
    if index != 1 or x.ndim != 2 or g.ndim != 2 or out.dtype.itemsize < 4:
        return False
    if not x.dtype == g.dtype == out.dtype:
        return False
    device_of(out).xp.matmul(x.T, g, out=out)
    return True


matmul.vjp_into = _matmul_vjp_into


def _parse(subscripts: str, shapes):
    """Operand terms and the output term, with an ellipsis spelled out in capital letters."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(f"einsum '{subscripts}' names {len(terms)} operands, got {len(shapes)}.")
    capitals = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    extra = max(
        (len(s) - len(t) + 3 for t, s in zip(terms, shapes, strict=True) if "..." in t), default=0
    )
    names = "".join(capitals[:extra])
    spelled = []
    for term, shape in zip(terms, shapes, strict=True):
        if "..." in term:
            n = len(shape) - len(term) + 3
            term = term.replace("...", names[extra - n :])
        if len(term) != len(shape):
            raise ShapeError(f"einsum '{subscripts}': the operand '{term}' got shape {shape}.")
        spelled.append(term)
    if arrow:
        right = right.replace("...", names)
    else:
        counts = "".join(spelled)
        right = names + "".join(
            sorted(c for c in set(counts) if counts.count(c) == 1 and c not in names)
        )
    return spelled, right


def _einsum_shape(*xs, subscripts):
    terms, out = _parse(subscripts, [x.shape for x in xs])
    sizes: dict[str, int] = {}
    for term, x in zip(terms, xs, strict=True):
        for letter, d in zip(term, x.shape, strict=True):
            if sizes.setdefault(letter, d) not in (d, 1) and d != 1:
                raise ShapeError(
                    f"einsum '{subscripts}': '{letter}' has sizes {sizes[letter]} and {d}."
                )
            sizes[letter] = max(sizes[letter], d) if d != 0 else 0
    return tuple(sizes[c] for c in out), xs[0]._np_dtype


def _einsum_vjp(e, g):
    from distkeras.engine.primitives.shape import broadcast_to, reshape

    terms, out = _parse(e.params["subscripts"], e.shapes)
    answers = []
    for i, (term, shape, need) in enumerate(zip(terms, e.shapes, e.needs, strict=True)):
        if not need:
            answers.append(None)
            continue
        if len(set(term)) != len(term):
            raise ShapeError(
                f"The gradient of einsum '{e.params['subscripts']}' with a repeated index is not "
                "defined here."
            )
        others = [t for j, t in enumerate(terms) if j != i]
        present = set(out).union(*others)
        reachable = "".join(c for c in term if c in present)
        answer = einsum(
            g,
            *(x for j, x in enumerate(e.x) if j != i),
            subscripts=f"{','.join([out, *others])}->{reachable}",
        )
        if reachable != term:  # an index that only this operand has was summed over
            answer = reshape(
                answer,
                shape=tuple(
                    d if c in present else 1
                    for c, d in zip(term, _answer_shape(term, reachable, answer), strict=True)
                ),
            )
            answer = broadcast_to(answer, shape=tuple(shape))
        answers.append(sum_to(answer, shape))
    return tuple(answers)


def _answer_shape(term, reachable, answer):
    sizes = dict(zip(reachable, answer.shape, strict=True))
    return [sizes.get(c, 1) for c in term]


def _einsum_batch(axes, shapes, params, out_shape):
    terms, out = _parse(params["subscripts"], shapes)
    letters = {t[a] for t, a in zip(terms, axes, strict=True) if a is not None}
    if len(letters) != 1:
        return batch.MIXED
    letter = letters.pop()
    if any(letter in t and a is None for t, a in zip(terms, axes, strict=True)):
        return batch.MIXED
    return out.index(letter) if letter in out else batch.REDUCED


# Of one operand a transpose or a diagonal may be a view.
@primitive(
    "einsum", shape=_einsum_shape, batch=_einsum_batch, vjp=_einsum_vjp, saves="x", view=True
)
def einsum(xp, *xs, subscripts):
    if xs[0].dtype.itemsize == 2:
        return xp.einsum(subscripts, *(x.astype("float32") for x in xs)).astype(xs[0].dtype)
    return xp.einsum(subscripts, *xs, optimize=len(xs) > 1)
