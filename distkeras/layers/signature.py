"""What a layer's `call` takes, and the masks that come with its tensors."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from distkeras.engine.abstract import ShapeTensor
from distkeras.engine.tensor import Tensor
from distkeras.ops.symbolic import KerasTensor
from distkeras.utils import tree

__all__ = ["TENSORS", "CallSignature", "has_tensors", "mask_of", "set_mask", "signature_of"]

TENSORS = (Tensor, ShapeTensor, KerasTensor)


def has_tensors(value: Any) -> bool:
    """Whether a tensor, perhaps a symbolic one, occurs in a structure.

    Example:
        >>> has_tensors({"a": [1.0]}), has_tensors([KerasTensor((2,))])
        (False, True)
    """
    if not tree.is_nested(value):
        return isinstance(value, TENSORS)
    return any(isinstance(t, TENSORS) for t in tree.flatten(value))


def mask_of(tensor: Any) -> Any:
    """The mask that a tensor carries, or `None`."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> None:
    """Let a tensor carry a mask."""
    tensor._keras_mask = mask


class CallSignature:
    """What a `call` takes.

    Args:
        function: the method of a layer's class.

    Attributes:
        names: all named arguments, without `self`.
        positional: those that may be given by place.
        defaults: name -> default value.
        any_keyword: whether it takes `**kwargs`.
        mask_names: the arguments that are masks of others.
    """

    def __init__(self, function: Callable):
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self.names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.positional = [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.any_keyword = any(p.kind == p.VAR_KEYWORD for p in parameters)
        self.mask_names = [n for n in self.names if n == "mask" or n.endswith("_mask")]

    def takes(self, name: str) -> bool:
        """Whether it has an argument of a name."""
        return name in self.names

    def default(self, name: str) -> Any:
        """An argument's default, `None` where it has none."""
        return self.defaults.get(name)

    def bind(self, args: tuple, kwargs: dict) -> dict:
        """The arguments of a call by name."""
        named = dict(zip(self.positional, args, strict=False))
        for i, extra in enumerate(args[len(self.positional) :]):
            named[f"arg_{i}"] = extra
        named.update(kwargs)
        return named

    def fill_masks(self, named: dict, kwargs: dict) -> dict:
        """Masks of the tensor arguments, by argument; those that `call` takes are passed on."""
        masks = {}
        for name, value in named.items():
            if name in self.mask_names or not has_tensors(value):
                continue
            if type(value) is Tensor:
                mask = mask_of(value)
                if mask is not None:
                    masks[name] = mask
                continue
            leaves = [mask_of(t) for t in tree.flatten(value)]
            if any(m is not None for m in leaves):
                masks[name] = (
                    tree.pack_sequence_as(value, leaves) if tree.is_nested(value) else leaves[0]
                )
        if masks or self.mask_names:
            first = next((n for n, v in named.items() if has_tensors(v)), None)
            for name, mask in masks.items():
                if f"{name}_mask" in self.mask_names and named.get(f"{name}_mask") is None:
                    kwargs[f"{name}_mask"] = mask
                elif name == first and "mask" in self.mask_names and named.get("mask") is None:
                    kwargs["mask"] = mask
            if "mask" in named and named["mask"] is not None and first is not None:
                masks = {first: named["mask"], **{k: v for k, v in masks.items() if k != first}}
        return masks


@functools.cache
def signature_of(function: Callable) -> CallSignature:
    """The `CallSignature` of a method, found once."""
    return CallSignature(function)
