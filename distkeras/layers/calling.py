"""How a layer is called: arguments made tensors, weights built, masks and `training` passed on."""

import contextlib
import inspect
from typing import Any

from distkeras.distribution import denominators
from distkeras.engine import context
from distkeras.engine.abstract import ShapeTensor, open_shape
from distkeras.engine.tensor import Tensor
from distkeras.engine.variable import Variable
from distkeras.layers.building import default_build, is_default_build, unwrapped
from distkeras.layers.call_context import CallContext, call_context
from distkeras.layers.input_spec import assert_input_compatibility
from distkeras.layers.signature import TENSORS, CallSignature, has_tensors, mask_of, set_mask
from distkeras.layers.state import LayerState
from distkeras.ops import cast, convert_to_tensor
from distkeras.ops.symbolic import KerasTensor, Node, Operation, any_symbolic, infer_spec
from distkeras.utils import tree

__all__ = ["LayerCall"]

_WHERE = "In the call of layer"
_ANNOTATED = (ValueError, TypeError, RuntimeError, IndexError)


class LayerCall(LayerState, Operation):
    """The part of `Layer` that runs when it is called."""

    _call_signature: CallSignature
    activity_regularizer: Any
    autocast: bool
    input_spec: Any
    supports_masking: bool

    def __call__(self, *args, **kwargs):
        if not self._initialized:
            self._check_initialized()
        outer = call_context.get()
        token = None
        if outer is None:
            current = CallContext(self)
            token = call_context.set(current)
            self._clear_losses()
        else:
            current = outer
        current.scope.append(self.name)
        training_before = current.training
        try:
            return self._call_within(current, args, kwargs)
        except Exception as error:
            self._annotate(error, args, kwargs)
            raise
        finally:
            current.scope.pop()
            current.training = training_before
            if token is not None:
                call_context.reset(token)

    def _call_within(self, current, args, kwargs):
        if self.autocast or not all(isinstance(a, TENSORS) for a in args):
            args, kwargs = self._convert(args, kwargs)
        signature = self._call_signature
        named = signature.bind(args, kwargs)
        first = args[0] if args else next(iter(named.values()), None)
        if self.input_spec is not None:
            assert_input_compatibility(self.input_spec, first, self.name)
        if not self.built:
            self._build_for(current, named)
        training = kwargs.get("training", named.get("training"))
        if training is None:
            training = current.training
            if training is None:
                training = signature.default("training")
        current.training = training
        if signature.takes("training"):
            if "training" not in named and training is not None:
                kwargs = {**kwargs, "training": training}
        elif "training" in kwargs and not signature.any_keyword:
            # Said for the layers within: this one has no use for it.
            kwargs = {k: v for k, v in kwargs.items() if k != "training"}
        if len(named) == 1 and type(first) is Tensor:
            # The usual call: one tensor with values.
            symbolic = False
            plain = mask_of(first) is None and not signature.mask_names
            masks = {} if plain else signature.fill_masks(named, kwargs)
        else:
            symbolic = any_symbolic(args, kwargs)
            masks = signature.fill_masks(named, kwargs)
        autocast = (
            self.compute_dtype
            if self.autocast and self.compute_dtype != self.variable_dtype
            else None
        )
        if context.state().autocast != autocast:
            with context.changed(autocast=autocast):
                outputs = self._run(symbolic, args, kwargs)
        else:
            outputs = self._run(symbolic, args, kwargs)
        if self.supports_masking or masks:
            self._set_output_masks(named, masks, outputs)
        if self.activity_regularizer is not None and not symbolic:
            for t in tree.flatten(outputs):
                self.add_loss(self._activity_penalty(t))
        return outputs

    def _activity_penalty(self, output):
        """The activity regularizer's value for each sample of the global batch."""
        penalty = self.activity_regularizer(output)
        rows = denominators.global_sum(output.shape[0]) if output.shape else 1
        return penalty / rows if rows else penalty

    def _run(self, symbolic, args, kwargs):
        if not symbolic:
            return self.call(*args, **kwargs)
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def _convert(self, args, kwargs):
        """Arrays become tensors; floats get the layer's compute dtype."""
        wanted = self.input_dtype if self.autocast else None
        if len(args) == 1 and type(args[0]) is Tensor and not kwargs:
            dtype = args[0].dtype
            if dtype == wanted or "float" not in dtype:
                return args, kwargs
        if args and _are_numbers(args[0]):
            args = (convert_to_tensor(args[0]), *args[1:])
        args = tuple(_as_input(a, wanted) for a in args)
        return args, {k: _as_input(v, wanted) for k, v in kwargs.items()}

    # --- building ---

    @default_build
    def build(self, *input_shapes, **named_shapes):
        """Create the weights for inputs of given shapes; subclasses override it."""
        if input_shapes or named_shapes:
            object.__setattr__(self, "_build_shapes", (input_shapes, named_shapes))
        self.built = True

    def _build_for(self, current, named) -> None:
        shapes = {
            name: tree.map_structure(
                lambda t: open_shape(t) if hasattr(t, "shape") else None, value
            )
            for name, value in named.items()
            if name != "mask" and not name.endswith("_mask") and has_tensors(value)
        }
        if "/".join(current.scope) != self.name:
            object.__setattr__(self, "_path", "/".join(current.scope))
        with context.changed(tapes=(), autocast=None, abstract=False), current.building():
            build = type(self).build
            if is_default_build(build):
                by_name = {f"{k}_shape": v for k, v in shapes.items()}
                recorded = ((), by_name) if len(shapes) > 1 else (tuple(shapes.values()), {})
                object.__setattr__(self, "_build_shapes", recorded)
                self._default_build(named)
                if not self.built:
                    self.built = True
            elif len(names := list(inspect.signature(unwrapped(build)).parameters)[1:]) == 0:
                self.build()
            elif len(shapes) > 1:
                by_name = {f"{k}_shape": v for k, v in shapes.items()}
                if all(n in by_name for n in names):
                    self.build(**{n: by_name[n] for n in names})
                else:
                    self.build(next(iter(shapes.values())))
            else:
                self.build(*shapes.values())
        self.built = True
        object.__setattr__(self, "_locked", True)

    def _default_build(self, named) -> None:
        """A layer that defines no `build`: the layers within are built by running `call` on
        shapes."""
        if not self._layers or all(layer.built for layer in self._layers):
            return
        args = {k: tree.map_structure(_symbol, v) for k, v in named.items() if has_tensors(v)}
        rest = {k: v for k, v in named.items() if k not in args and k in self._call_signature.names}
        # The real call that follows raises in its own words, or builds the layers as it goes.
        with contextlib.suppress(Exception):
            infer_spec(self.call, **args, **rest)

    # --- masks ---

    def compute_mask(self, inputs, previous_mask):
        """The outputs' mask; by default that of the inputs."""
        return previous_mask

    def _set_output_masks(self, named, masks, outputs) -> None:
        leaves = tree.flatten(outputs)
        if not leaves or (not masks and type(self).compute_mask is LayerCall.compute_mask):
            return
        if all(mask_of(t) is not None for t in leaves if hasattr(t, "shape")):
            return
        inputs = next((v for v in named.values() if has_tensors(v)), None)
        previous = next(iter(masks.values()), None) if masks else None
        if not self.supports_masking and type(self).compute_mask is LayerCall.compute_mask:
            return
        computed = self.compute_mask(inputs, previous)
        if computed is None:
            return
        found = tree.flatten(computed)
        if len(found) == 1 and len(leaves) > 1:
            found = found * len(leaves)
        for t, mask in zip(leaves, found, strict=False):
            if mask is not None and isinstance(t, TENSORS) and mask_of(t) is None:
                set_mask(t, mask)

    # --- errors ---

    def _annotate(self, error: Exception, args, kwargs) -> None:
        """Say once which layer's call failed and with which arguments."""
        notes = getattr(error, "__notes__", ())
        if any(note.startswith(_WHERE) for note in notes) or not isinstance(error, _ANNOTATED):
            return
        given = ", ".join(
            [_describe(a) for a in args] + [f"{k}={_describe(v)}" for k, v in kwargs.items()]
        )
        error.add_note(f"{_WHERE} '{self.name}' ({type(self).__name__}) with ({given}).")


def _are_numbers(value: Any) -> bool:
    """Whether a value is a number or a nested list of numbers, and so one tensor."""
    if not isinstance(value, list | tuple | int | float):
        return False
    leaves = tree.flatten(value)
    return bool(leaves) and all(isinstance(leaf, int | float) for leaf in leaves)


def _as_input(value: Any, wanted: str | None):
    """Arrays and variables within a structure as tensors, floats of the wanted dtype."""
    if isinstance(value, list | tuple | dict):
        return tree.map_structure(lambda leaf: _as_input(leaf, wanted), value)
    if isinstance(value, Variable):
        return value.value
    if not isinstance(value, TENSORS):
        if not hasattr(value, "__array__"):
            return value
        value = convert_to_tensor(value)
    if wanted is None or value.dtype == wanted or "float" not in value.dtype:
        return value
    mask = mask_of(value)
    value = cast(value, wanted)
    if mask is not None:
        set_mask(value, mask)
    return value


def _describe(value) -> str:
    def one(leaf):
        return (
            f"{leaf.dtype}{list(leaf.shape)}"
            if hasattr(leaf, "shape") and hasattr(leaf, "dtype")
            else repr(leaf)
        )

    return str(tree.map_structure(one, value)) if tree.is_nested(value) else one(value)


def _symbol(t):
    return KerasTensor(t.shape, t.dtype) if isinstance(t, Tensor | ShapeTensor) else t
