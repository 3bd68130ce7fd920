"""Copies of models with new weights."""

from collections.abc import Callable
from typing import Any

from distkeras.errors import ArgumentError
from distkeras.layers.core.input_layer import Input, InputLayer
from distkeras.layers.layer import Layer
from distkeras.models.functional import Functional
from distkeras.models.model import Model
from distkeras.models.sequential import Sequential
from distkeras.ops.symbolic import KerasTensor
from distkeras.utils import tree

__all__ = ["clone_model"]


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """A model of the same architecture with layers and weights of its own.

    Args:
        model: a model whose layers can be made from their configurations.
        input_tensors: `KerasTensor`s to begin with, in the structure of the model's inputs (a
            functional model or a `Sequential`); default new ones.
        clone_function: `layer -> layer`, called for each layer but inputs; default a copy by
            configuration.
        call_function: `(layer, *args, **kwargs) -> outputs`, which calls a copied layer; only for
            functional models.
        recursive: whether models within the model are taken apart as well, default `False`.
        **kwargs: `custom_objects`, classes that configurations name.

    Raises:
        ArgumentError: where the model is no graph of layers and one of the functions is given.

    Example:
        >>> import distkeras as keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> clone_model(model).output_shape
        (None, 3)
        >>> def wider(layer):
        ...     return keras.layers.Dense(2 * layer.units)
        >>> clone_model(model, clone_function=wider).output_shape
        (None, 6)
    """
    custom_objects = kwargs.pop("custom_objects", None)
    if set(kwargs) - {"cache"}:  # Keras passes `cache` to itself
        raise ArgumentError(f"Unexpected keyword argument(s): {sorted(kwargs)}")
    if input_tensors is None and clone_function is None and call_function is None:
        return type(model).from_config(model.get_config(), custom_objects=custom_objects)
    copies: dict[int, Any] = {}

    def copy(operation):
        if not isinstance(operation, Layer):
            return operation  # an operation without weights
        if id(operation) not in copies:
            if recursive and isinstance(operation, Sequential | Functional):
                call = call_function if isinstance(operation, Functional) else None
                made = clone_model(operation, None, clone_function, call, True)
            elif clone_function is not None:
                made = clone_function(operation)
            else:
                made = type(operation).from_config(operation.get_config())
            copies[id(operation)] = made
        return copies[id(operation)]

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ArgumentError(
                "`call_function` argument is not supported with Sequential models. In a "
                "Sequential model, layers aren't called at model-construction time. Received: "
                f"call_function={call_function!r}"
            )
        return _sequential(model, input_tensors, copy)
    if isinstance(model, Functional):
        return _functional(model, input_tensors, copy, call_function)
    raise ArgumentError(
        "Arguments `input_tensors`, `clone_function` and `call_function` of `clone_model` need a "
        f"Sequential or functional model. Received: {type(model).__name__}"
    )


def _sequential(model: Sequential, given: Any, copy: Callable) -> Sequential:
    """A `Sequential` of copies that begins with the same input, or a given one."""
    start = model._layers[:1] if model._layers and isinstance(model._layers[0], InputLayer) else []
    if given is not None:
        first = tree.flatten(given)
        if len(first) != 1:
            raise ArgumentError(
                f"A Sequential model has one input. Received: input_tensors={given!r}"
            )
        begin = [Input(batch_shape=first[0].shape, dtype=first[0].dtype)]
    else:
        begin = [Input(batch_shape=i.batch_shape, dtype=i.dtype, name=i.name) for i in start]
    return Sequential([*begin, *map(copy, model.layers)], name=model.name)


def _functional(model: Functional, given: Any, copy: Callable, call: Callable | None) -> Functional:
    """The graph of a model walked again with copies."""

    def fresh(t):
        name = t._keras_history.operation.name
        return Input(batch_shape=t.shape, dtype=t.dtype, name=name)

    old = model._inputs_struct
    inputs = tree.map_structure(fresh, old) if given is None else given
    new = tree.flatten(inputs)
    if len(new) != len(model._inputs) or not all(isinstance(t, KerasTensor) for t in new):
        raise ArgumentError(
            f"`input_tensors` must be {len(model._inputs)} KerasTensor(s), one for each input of "
            f"the model. Received: {given!r}"
        )
    values = {id(t): v for t, v in zip(tree.flatten(old), new, strict=True)}
    for node in model._steps:
        args, kwargs = node.fill_in(values)
        operation = copy(node.operation)
        outputs = operation(*args, **kwargs) if call is None else call(operation, *args, **kwargs)
        for symbol, value in zip(node.output_tensors, tree.flatten(outputs), strict=True):
            values[id(symbol)] = value
    ends = tree.map_structure(lambda t: values[id(t)], model._outputs_struct)
    return type(model)(inputs, ends, name=model.name)
