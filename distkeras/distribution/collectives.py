"""Collective calls on host arrays: every rank of the world makes the same calls in the same order.

How a call goes, so that ranks that disagree end in an error and not in a hang or in wrong numbers:

(a) The call gets an ordinal, which counts collectives in this process. A lock keeps the calls of
    two threads apart.
(b) All ranks reduce one small vector, the header: ordinal, kind, and a fingerprint of the
    arguments, each once as it is and once complemented, so that a single MAX gives the highest and
    the lowest value of each.
(c) Where the two differ all ranks know it. They tell each other their calls in words and raise
    `CollectiveMismatchError`.
(d) The data follow, through MPI's buffer calls, in pieces that stay below the 2^31 of MPI's counts.

The vector of `agree` travels inside the header: agreeing costs one message. In a world of one
process the same checks of arguments are made, and nothing is sent.
"""

import contextlib
import functools
import itertools
import math
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from distkeras.distribution import beacon, ends
from distkeras.distribution.world import World, is_alone, world
from distkeras.errors import ArgumentError, CollectiveMismatchError, DTypeError

__all__ = [
    "Agreement",
    "agree",
    "all_gather",
    "all_reduce",
    "all_reduce_inplace",
    "barrier",
    "broadcast",
    "broadcast_inplace",
    "last_call",
    "meet",
    "publish_calls",
]

# Largest single message, in bytes; MPI counts are 32 bits wide in libraries below MPI 4.
CHUNK_BYTES = 1 << 29
# Elements that the half dtypes widen at a time: 4 MiB of float32 stays in a core's cache.
HALF_CHUNK = 1 << 20

_HEADER = 64
_PAYLOAD = 4  # where the header's payload begins
_NEUTRAL = np.iinfo(np.int64).min  # loses every MAX, in both halves of the header
_TEXT = 512
_KINDS = {kind: number for number, kind in enumerate(beacon.KINDS)}
_OPS = {"sum": "SUM", "max": "MAX", "min": "MIN"}
_HALVES = ("float16", "bfloat16")

_calls = itertools.count(1)
_last: tuple[int, str] = (0, "")
_lock = threading.Lock()
_published: Any = None


@dataclass(frozen=True)
class Agreement:
    """What the ranks said in `agree`.

    Attributes:
        lowest: the smallest value of each entry over the ranks, an int64 or float64 vector.
        highest: the largest value of each entry.
        same: boolean vector, True where all ranks passed the same value, bit for bit.
    """

    lowest: np.ndarray
    highest: np.ndarray
    same: np.ndarray


def last_call() -> tuple[int, str]:
    """The ordinal and the description of the newest collective of this process, `(0, "")` before
    the first.

    Example:
        >>> barrier()
        >>> last_call()[1]
        'barrier'
    """
    return _last


def all_reduce(array: Any, op: str = "sum") -> np.ndarray:
    """Combine one array of every rank element by element, and give the result to every rank.

    Args:
        array: anything that NumPy makes an array of; the same shape and dtype on all ranks. float16
            and bfloat16 are reduced in float32 and rounded once; booleans are counted (`"sum"`
            gives int64).
        op: `"sum"`, `"max"` or `"min"`.

    Returns:
        A new NumPy array of the same shape and dtype.

    Raises:
        ArgumentError: for an unknown `op`.
        DTypeError: for a dtype that has no such operation.
        CollectiveMismatchError: when the ranks' calls, shapes or dtypes differ.

    Example:
        >>> all_reduce([1.0, 2.0])
        array([1., 2.])
    """
    _check_op(op)
    source = _host(array)
    wire = _wire_dtype(source.dtype, op)
    with _call("all_reduce", f"{op} of {_text(source)}") as (group, exchange):
        exchange()
        result = source.astype(wire)
        if group.is_multi:
            _reduce(group, result.reshape(-1), op)
    return (
        result if source.dtype == bool and op == "sum" else result.astype(source.dtype, copy=False)
    )


def all_reduce_inplace(buffer: np.ndarray, op: str = "sum") -> np.ndarray:
    """Combine one buffer of every rank where it lies: the gradient arena, without a copy.

    Args:
        buffer: a writable C-contiguous NumPy array; the same shape and dtype on all ranks. float16
            and bfloat16 are reduced in float32, piece by piece, and rounded once.
        op: `"sum"`, `"max"` or `"min"`.

    Returns:
        `buffer` itself, holding the result.

    Raises:
        ArgumentError: when `buffer` is no such array, or for an unknown `op`.
        DTypeError: for a dtype that has no such operation.
        CollectiveMismatchError: when the ranks' calls, shapes or dtypes differ.

    Example:
        >>> gradients = np.ones(4, "float32")
        >>> all_reduce_inplace(gradients) is gradients
        True
    """
    _check_op(op)
    _check_buffer(buffer, "all_reduce_inplace")
    wire = _wire_dtype(buffer.dtype, op)
    if wire == np.int64 and buffer.dtype == bool:
        raise DTypeError(
            "all_reduce_inplace cannot count booleans in place; use all_reduce(buffer)."
        )
    with _call("all_reduce_inplace", f"{op} of {_text(buffer)}") as (group, exchange):
        exchange()
        if group.is_multi:
            flat = buffer.reshape(-1)
            if _name(flat.dtype) in _HALVES:
                _reduce_halves(group, flat, op)
            else:
                _reduce(group, flat.view(wire), op)
    return buffer


def all_gather(array: Any) -> np.ndarray:
    """Join one array of every rank along the first axis, in rank order.

    Args:
        array: anything that NumPy makes an array of. Ranks may have different numbers of rows (also
            none), and otherwise the same shape and dtype. A scalar counts as one row.

    Returns:
        A new NumPy array with the rows of all ranks, on every rank.

    Raises:
        CollectiveMismatchError: when the ranks' calls, row shapes or dtypes differ.

    Example:
        >>> all_gather(7)
        array([7])
    """
    source = _host(array)
    rows = source.reshape(1) if source.ndim == 0 else source
    shape = ("rows", *rows.shape[1:])
    with _call("all_gather", f"{rows.dtype.name} of shape ({', '.join(map(str, shape))})") as (
        group,
        exchange,
    ):
        exchange()
        if not group.is_multi:
            return rows.copy()
        counts = np.zeros(group.size, np.int64)
        group.comm.Allgather(np.array([len(rows)], np.int64), counts)
        result = np.empty((int(counts.sum()), *rows.shape[1:]), rows.dtype)
        row_bytes = rows.dtype.itemsize * math.prod(rows.shape[1:])
        stops = np.cumsum(counts) * row_bytes
        starts = stops - counts * row_bytes
        target = _bytes(result)
        if len(target) <= CHUNK_BYTES:
            byte = group.mpi.BYTE
            group.comm.Allgatherv(
                [_bytes(rows), byte], [target, (stops - starts).tolist(), starts.tolist(), byte]
            )
        else:
            target[starts[group.rank] : stops[group.rank]] = _bytes(rows)
            for root, (start, end) in enumerate(zip(starts, stops, strict=True)):
                _send(group, target[start:end], root)
    return result


def broadcast(array: Any = None, root: int = 0) -> np.ndarray:
    """Give every rank the array of one rank.

    Args:
        array: on rank `root` anything that NumPy makes an array of. Elsewhere None, or an array of
            the same shape and dtype, whose values do not matter.
        root: the rank that gives.

    Returns:
        A new NumPy array, equal on all ranks.

    Raises:
        ArgumentError: when `root` is no rank, or passes None.
        CollectiveMismatchError: when the ranks' calls, `root`s, shapes or dtypes differ.

    Example:
        >>> broadcast([1, 2])
        array([1, 2])
    """
    _check_root(root)
    source = None if array is None else _host(array)
    detail = "" if source is None else _text(source)
    with _call("broadcast", detail, payload=(root,)) as (group, exchange):
        exchange()
        meta = np.zeros(64, np.int64)
        if group.rank == root:
            meta[0] = -1 if source is None else source.ndim
            if source is not None:
                meta[1 : 1 + source.ndim] = source.shape
                words = _dtype_name(source.dtype).encode()
                meta[40] = len(words)
                meta[41:].view(np.uint8)[: len(words)] = np.frombuffer(words, np.uint8)
        if group.is_multi:
            group.comm.Bcast(meta, root=root)
        if meta[0] < 0:
            raise ArgumentError(f"broadcast: rank {root} gives the array, but passed None.")
        name = bytes(meta[41:].view(np.uint8)[: meta[40]]).decode()
        if group.rank == root and source is not None:
            result = source.copy()
        else:
            result = np.empty(tuple(meta[1 : 1 + meta[0]]), _dtype(name))
        if group.is_multi:
            _send(group, _bytes(result), root)
    return result


def broadcast_inplace(buffer: np.ndarray, root: int = 0) -> np.ndarray:
    """Overwrite a buffer of every rank with that of one rank.

    Args:
        buffer: a writable C-contiguous NumPy array; the same shape and dtype on all ranks.
        root: the rank that gives.

    Returns:
        `buffer` itself.

    Raises:
        ArgumentError: when `buffer` is no such array, or `root` no rank.
        CollectiveMismatchError: when the ranks' calls, `root`s, shapes or dtypes differ.

    Example:
        >>> weights = np.zeros(3)
        >>> broadcast_inplace(weights) is weights
        True
    """
    _check_root(root)
    _check_buffer(buffer, "broadcast_inplace")
    with _call("broadcast_inplace", _text(buffer), payload=(root,)) as (group, exchange):
        exchange()
        if group.is_multi:
            _send(group, _bytes(buffer), root)
    return buffer


def barrier() -> None:
    """Return when every rank has called it.

    Raises:
        CollectiveMismatchError: when another rank calls another collective.

    Example:
        >>> barrier()
    """
    with _call("barrier", "") as (_, exchange):
        exchange()


def meet(kind: str, detail: str) -> None:
    """Compare a call that moves its data by other means, and return when every rank has made it.

    Args:
        kind: one of `_KINDS`.
        detail: its arguments in words; they must be the same on all ranks.

    Raises:
        CollectiveMismatchError: when another rank calls another collective, or with other words.

    Example:
        >>> meet("reduce", "16 numbers")
    """
    with _call(kind, detail) as (_, exchange):
        exchange()


def publish_calls(word: Any) -> None:
    """Keep the ordinal of this rank's newest collective where the node's other ranks see it.

    Args:
        word: a writable sequence, whose first entry is set at each call on several ranks from now
            on; None ends that.

    Example:
        >>> publish_calls(None)
    """
    global _published
    _published = word


def end_of_program() -> None:
    """Wait, asleep, until all ranks have ended; called once, when the interpreter exits.

    A rank that calls a collective instead would wait for this one forever: it gets an error that
    says so.
    """
    with contextlib.suppress(CollectiveMismatchError), _call(beacon.END, "") as (_, exchange):
        exchange()


def agree(vector: Sequence[float] | np.ndarray) -> Agreement:
    """Compare a small vector over the ranks: what a step needs to know of all ranks, in one
    message.

    Flags agree by `highest` ("any rank") or `lowest` ("all ranks"), values that must not differ by
    `same`.

    Args:
        vector: at most a few dozen numbers, equally many on all ranks. Integers and booleans travel
            as int64 (unsigned 64-bit values bit for bit), others as float64; NaN is above every
            number and equal to itself.

    Returns:
        An `Agreement`.

    Raises:
        CollectiveMismatchError: when the ranks' calls, lengths or kinds of number differ.

    Example:
        >>> agree([3, 0]).highest
        array([3, 0])
    """
    values = np.atleast_1d(np.asarray(vector))
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise ArgumentError(
            f"agree expects a vector of numbers, got shape {values.shape} of {values.dtype}."
        )
    floats = values.dtype.kind == "f"
    keys = _float_keys(values) if floats else values.astype(np.int64)
    with _call("agree", f"{len(keys)} {'floats' if floats else 'integers'}", payload=keys) as (
        _,
        exchange,
    ):
        lowest, highest = exchange()
    same = lowest == highest
    if floats:
        lowest, highest = _from_float_keys(lowest), _from_float_keys(highest)
    return Agreement(lowest, highest, same)


@contextmanager
def _call(
    kind: str, detail: str, payload: Sequence[int] | np.ndarray = ()
) -> Iterator[tuple[World, Any]]:
    """One collective call: its ordinal, its turn among threads, and the function that exchanges
    headers.

    Without `detail` a rank goes along with whatever arguments the others pass.
    """
    global _last
    with _lock:
        group = world()
        # What one rank does alone is not counted: the others did not take part.
        ordinal = _last[0] if is_alone() else next(_calls)
        _last = (ordinal, f"{kind} {detail}".strip())
        if not group.is_multi:
            yield group, lambda: _exchange(group, kind, detail, payload)
            return
        if _published is not None:
            _published[0] = ordinal
        beacon.enter(ordinal, _KINDS[kind])
        try:
            yield group, lambda: _exchange(group, kind, detail, payload)
        finally:
            beacon.leave()


def _exchange(
    group: World, kind: str, detail: str, payload: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare this call with those of the other ranks; the payload's lowest and highest values."""
    values = np.asarray(payload, np.int64)
    if not group.is_multi:
        return values, values.copy()
    inside = values[: _HEADER - _PAYLOAD]
    end = _PAYLOAD + len(inside)
    header = np.zeros((2, _HEADER), np.int64)
    first = header[0]
    first[0], first[1], first[3] = _last[0], _KINDS[kind], len(values)
    first[2] = zlib.crc32(detail.encode())
    first[_PAYLOAD:end] = inside
    np.invert(first, out=header[1])
    if kind == beacon.END:
        first[0] = 0  # programs that end together need not have counted alike
        np.invert(first, out=header[1])
    if kind == "broadcast" and not detail and group.rank != values[0]:
        header[:, 2] = _NEUTRAL
    # Here ranks wait for the last one, so they wait politely, and Ctrl-C still works.
    request = group.comm.Iallreduce(group.mpi.IN_PLACE, header, group.mpi.MAX)
    group.finish(request, longest_sleep=10e-3 if kind == beacon.END else 50e-6)
    highest, lowest = header[0], ~header[1]
    fixed = _PAYLOAD if kind == "agree" else end
    if not np.array_equal(highest[:fixed], lowest[:fixed]):
        raise _mismatch(group, payload)
    lowest, highest = lowest[_PAYLOAD:end], highest[_PAYLOAD:end]
    if len(values) > len(inside):
        rest = np.stack([values[len(inside) :], ~values[len(inside) :]])
        group.comm.Allreduce(group.mpi.IN_PLACE, rest, group.mpi.MAX)
        lowest, highest = np.append(lowest, ~rest[1]), np.append(highest, rest[0])
    return lowest, highest


def _mismatch(group: World, payload: Sequence[int] | np.ndarray) -> CollectiveMismatchError:
    """Step (c): every rank is here, so the ranks can tell each other what they called."""
    ordinal, description = _last
    root = f" from rank {payload[0]}" if description.startswith("broadcast") else ""
    place = ends.where_ended() if description == beacon.END else _caller()
    text = f"{description}{root}, its collective number {ordinal}, {place}"
    mine = np.zeros(_TEXT, np.uint8)
    data = text.encode()[:_TEXT]
    mine[: len(data)] = np.frombuffer(data, np.uint8)
    texts = np.zeros((group.size, _TEXT), np.uint8)
    group.comm.Allgather(mine, texts)
    ranks: dict[str, list[str]] = {}
    for rank, row in enumerate(texts):
        ranks.setdefault(bytes(row).rstrip(b"\0").decode(errors="replace"), []).append(str(rank))
    lines = [
        f"  rank{'s' * (len(who) > 1)} {', '.join(who)}: {what}" for what, who in ranks.items()
    ]
    return CollectiveMismatchError(
        "The ranks called different collectives, or one with data that do not fit together:\n"
        + "\n".join(lines)
        + "\nEvery rank must make the same collective calls in the same order, with arrays of "
        "one shape and dtype. "
        "Usual causes: a call inside `if rank() == 0` (save and evaluate on all ranks: rank 0 "
        "alone writes), or data of different lengths."
    )


def _caller() -> str:
    """Where the program called in, the innermost frame outside distkeras."""
    package = __name__.split(".")[0]
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in (
        package,
        "contextlib",
    ):
        frame = frame.f_back
    return f"called at {frame.f_code.co_filename}:{frame.f_lineno}"


def _host(array: Any) -> np.ndarray:
    """A contiguous array in this machine's byte order, without objects inside."""
    source = np.asarray(array)
    if source.dtype.hasobject or source.dtype.fields is not None:
        raise DTypeError(
            f"Collectives move numbers and fixed-size strings, got an array of {source.dtype}."
        )
    source = source.astype(source.dtype.newbyteorder("="), copy=False)
    return source if source.flags.c_contiguous else np.ascontiguousarray(source)


@functools.cache
def _wire_dtype(dtype: np.dtype, op: str) -> np.dtype:
    """The dtype in which MPI reduces `dtype`."""
    if dtype.name in _HALVES:
        return np.dtype(np.float32)
    if dtype.kind == "b":
        return np.dtype(np.int64 if op == "sum" else np.uint8)
    if dtype.kind in "iuf" or (dtype.kind == "c" and op == "sum"):
        return dtype
    raise DTypeError(f"There is no {op!r} over ranks for the dtype {dtype}.")


def _check_op(op: str) -> None:
    if op not in _OPS:
        raise ArgumentError(f"Unknown reduction op={op!r}. Expected one of {sorted(_OPS)}.")


def _check_root(root: int) -> None:
    if not 0 <= root < world().size:
        raise ArgumentError(f"root={root!r} is no rank of a world of size {world().size}.")


def _check_buffer(buffer: Any, where: str) -> None:
    if not (
        isinstance(buffer, np.ndarray)
        and buffer.flags.c_contiguous
        and buffer.flags.writeable
        and buffer.dtype.isnative
        and not buffer.dtype.hasobject
    ):
        raise ArgumentError(
            f"{where} works where the data lie: expected a writable, C-contiguous NumPy array, got "
            f"{type(buffer).__name__}. Make one with np.ascontiguousarray(...), or use the form "
            "that returns an array."
        )


def _text(array: np.ndarray) -> str:
    return f"{_name(array.dtype)} of shape {array.shape}"


@functools.cache
def _name(dtype: np.dtype) -> str:
    return dtype.name  # NumPy puts it together at each call


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def _dtype_name(dtype: np.dtype) -> str:
    return dtype.name if dtype.kind == "V" else dtype.str


def _dtype(name: str) -> np.dtype:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # registers bfloat16 and its kin with NumPy

        return np.dtype(getattr(ml_dtypes, name))


def _reduce(group: World, flat: np.ndarray, op: str) -> None:
    operation = getattr(group.mpi, _OPS[op])
    step = max(1, CHUNK_BYTES // flat.dtype.itemsize)
    for start in range(0, flat.size, step):
        piece = flat[start : start + step]
        if group.oversubscribed:  # all ranks have arrived, but not all of them run
            group.finish(group.comm.Iallreduce(group.mpi.IN_PLACE, piece, operation))
        else:
            group.comm.Allreduce(group.mpi.IN_PLACE, piece, operation)
        if start:
            beacon.progress()


def _reduce_halves(group: World, flat: np.ndarray, op: str) -> None:
    scratch = np.empty(min(flat.size, HALF_CHUNK), np.float32)
    for start in range(0, flat.size, HALF_CHUNK):
        piece = flat[start : start + HALF_CHUNK]
        wide = scratch[: piece.size]
        wide[...] = piece
        _reduce(group, wide, op)
        piece[...] = wide


def _send(group: World, data: np.ndarray, root: int) -> None:
    for start in range(0, data.size, CHUNK_BYTES):
        group.comm.Bcast([data[start : start + CHUNK_BYTES], group.mpi.BYTE], root=root)
        if start:
            beacon.progress()


def _float_keys(values: np.ndarray) -> np.ndarray:
    """int64 keys in the order of the floats: two's complement instead of sign and magnitude."""
    values = values.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan  # one NaN instead of many
    return _flip_negative(values.view(np.int64))


def _from_float_keys(keys: np.ndarray) -> np.ndarray:
    return _flip_negative(keys).view(np.float64)


def _flip_negative(bits: np.ndarray) -> np.ndarray:
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)
