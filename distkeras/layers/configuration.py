"""A layer as a configuration: the arguments from which it is made and built again."""

import inspect
from collections.abc import Callable
from typing import Any

from distkeras import dtype_policies, regularizers
from distkeras.layers.state import LayerState

__all__ = ["LayerConfiguration", "default_config"]


def default_config(get_config: Callable) -> Callable:
    """Mark a `get_config` that is not a user's own: plain arguments of `__init__` are found
    without one."""
    marked: Any = get_config
    marked._is_default = True
    return marked


class LayerConfiguration(LayerState):
    """The part of `Layer` that writes and reads configurations."""

    _build_shapes: Any
    activity_regularizer: Any
    dtype_policy: Any
    build: Any

    @default_config
    def get_config(self) -> dict:
        """The arguments from which the layer can be made again.

        A subclass with arguments of its own adds them to `super().get_config()`; without that,
        arguments that are plain values are taken from the call of `__init__`.
        """
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self.dtype_policy),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if getattr(type(self).get_config, "_is_default", False):
            config.update(self._plain_init_arguments())
        return config

    def _plain_init_arguments(self) -> dict:
        parameters = list(inspect.signature(type(self).__init__).parameters.values())[1:]
        own = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        args, kwargs = self._init_args
        given = {**dict(zip((p.name for p in own), args, strict=False)), **kwargs}
        own_names = [
            p.name
            for p in own
            if p.name not in ("name", "trainable", "dtype", "activity_regularizer", "autocast")
        ]
        plain = (str, int, float, bool, type(None), list, tuple, dict)
        found = {n: given[n] for n in own_names if n in given}
        odd = [n for n, v in found.items() if not isinstance(v, plain)]
        if odd:
            raise NotImplementedError(
                f"Layer {type(self).__name__} was created by passing non-serializable argument "
                f"values in `__init__()` ({', '.join(odd)}), "
                "and therefore the layer must override `get_config()` in order to be serializable."
            )
        return found

    def get_build_config(self) -> dict | None:
        """What `build` was called with, as it is saved."""
        shapes = self._build_shapes
        if shapes is None:
            return None
        args, kwargs = shapes
        if kwargs:
            return {"shapes_dict": kwargs}
        return (
            {"input_shape": args[0]}
            if len(args) == 1
            else {"shapes_dict": dict(enumerate(args))}
            if args
            else None
        )

    def build_from_config(self, config: dict) -> None:
        """Build as `get_build_config()` recorded it."""

        def shape(s):
            if isinstance(s, list | tuple) and all(d is None or isinstance(d, int) for d in s):
                return tuple(s)
            return (
                {k: shape(v) for k, v in s.items()}
                if isinstance(s, dict)
                else [shape(v) for v in s]
            )

        if config and not self.built:
            if "input_shape" in config:
                self.build(shape(config["input_shape"]))
            elif "shapes_dict" in config:
                self.build(**{k: shape(v) for k, v in config["shapes_dict"].items()})
            self.built = True
