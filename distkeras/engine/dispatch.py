"""`bind`: the only way an operation runs."""

import math

from distkeras.devices.base import _BY_ARRAY_TYPE, current_device, device_of
from distkeras.engine import batch as batch_rules
from distkeras.engine.abstract import _FILLS, ShapeTensor
from distkeras.engine.context import state
from distkeras.engine.tensor import Tensor
from distkeras.errors import DeviceError, DistkerasError, DTypeError, ShapeError

__all__ = ["bind"]


def bind(prim, *inputs, **params):
    """Run a primitive.

    Args:
        prim: the `Primitive`.
        *inputs: tensors, all on one device, or `ShapeTensor`s among them.
        **params: its parameters, plain Python values.

    Returns:
        A `Tensor`, or a tuple of them; `ShapeTensor`s where one came in.

    Raises:
        ShapeError: where shapes do not fit.
        DeviceError: where the tensors are on different devices.
    """
    try:
        arrays = [t.array for t in inputs]
    except AttributeError:
        return _abstract(prim, inputs, params)
    current = state()
    if current.track_batch:
        marks = [t.batch for t in inputs]
        if batch_rules.REDUCED in marks:
            inputs, params = batch_rules.align(prim, inputs, params, current)
            arrays = [t.array for t in inputs]
        if batch_rules.WHOLE in marks:
            inputs, params = batch_rules.meet(prim, inputs, params, current)
            arrays = [t.array for t in inputs]
    if current.abstract:
        answer = _abstract(prim, inputs, params)
        if _has_unknown_size(answer):
            return answer
    device = _BY_ARRAY_TYPE[type(arrays[0])] if arrays else current_device()
    xp = device.xp
    try:
        if xp is None:
            result = _without_arithmetic(prim, device, inputs, params)
        else:
            result = prim.run(xp, *arrays, **params)
    except Exception as error:
        if current.track_batch and current.gather is not None:
            specs = [_spec(prim, t) for t in inputs]
            if batch_rules.mixes(prim, inputs, specs, params):
                whole = batch_rules.of_whole_batch(prim, inputs, params, current)
                if whole is not None:
                    return bind(prim, *whole[0], **whole[1])
        explanation = _explain(prim, inputs, params, error)
        if explanation is None:
            raise
        raise explanation from error
    if prim.outputs == 1:
        outputs = out = Tensor(result)
        outputs = (out,)
    else:
        out = outputs = tuple(Tensor(array) for array in result)
    if current.track_batch:
        batch_rules.propagate(prim, inputs, outputs, params)
        if batch_rules.MIXED in [o.batch for o in outputs]:
            whole = batch_rules.of_whole_batch(prim, inputs, params, current)
            if whole is not None:
                return bind(prim, *whole[0], **whole[1])
    if prim.view and inputs and inputs[0].cell is not None:
        for o in outputs:
            inputs[0].cell.show(o)
    if current.tapes:
        for tape in current.tapes:
            tape.record(prim, params, inputs, outputs)
    return out


def _without_arithmetic(prim, device, inputs, params):
    """Arrays that the shape rule describes, on a device that does not compute."""
    answer = prim.shape(*(_spec(prim, t) for t in inputs), **params)
    if prim.outputs == 1:
        return device.array_type(*answer)
    return tuple(device.array_type(*a) for a in answer)


def _abstract(prim, inputs, params):
    """The shape rule's answer, where a shape is all that is known of an input."""
    specs = [_spec(prim, t) for t in inputs]
    answer = prim.shape(*specs, **params)
    if prim.outputs == 1:
        return ShapeTensor(*answer)
    return tuple(ShapeTensor(*a) for a in answer)


def _has_unknown_size(answer) -> bool:
    """Whether an answer is so large that an unknown dimension must be in it: such values, zeros of
    a batch for instance, are never wanted, and would take gigabytes."""
    tensors = answer if isinstance(answer, tuple) else (answer,)
    return any(math.prod(t.shape) >= _FILLS[0] for t in tensors)


def _spec(prim, t):
    if isinstance(t, ShapeTensor):
        return t
    if isinstance(t, Tensor):
        return ShapeTensor(t.array.shape, t.array.dtype)
    raise DTypeError(
        f"The primitive '{prim.name}' takes tensors, got "
        f"{type(t).__module__}.{type(t).__qualname__}; "
        "convert it with `ops.convert_to_tensor`."
    )


def _explain(prim, inputs, params, error) -> Exception | None:
    """A better error than the kernel's, or `None`: diagnosis is paid for only on failure."""
    if isinstance(error, DistkerasError | MemoryError | KeyboardInterrupt):
        return None
    devices = {device_of(t.array) for t in inputs}
    if len(devices) > 1 or not all(device_of(t.array).owns(t.array) for t in inputs):
        places = ", ".join(f"input {i}: {device_of(t.array).name}" for i, t in enumerate(inputs))
        return DeviceError(
            f"'{prim.name}' got tensors of different devices ({places}); make them on one device, "
            "with `use_device`."
        )
    parts = [f"{t.dtype}{list(t.shape)}" for t in inputs]
    given = ", ".join(parts + [f"{k}={v!r}" for k, v in params.items()])
    try:
        prim.shape(*(_spec(prim, t) for t in inputs), **params)
    except Exception as explained:
        return ShapeError(f"{explained} In '{prim.name}' of ({given}).")
    kind = DTypeError if isinstance(error, TypeError) else ShapeError
    return kind(f"'{prim.name}' of ({given}) failed: {error}")
