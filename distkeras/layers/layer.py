"""`Layer`: state (weights) and a computation."""

from typing import Any

from distkeras import dtype_policies, regularizers
from distkeras.errors import ArgumentError
from distkeras.layers.building import recording_build
from distkeras.layers.call_context import called_now
from distkeras.layers.calling import LayerCall
from distkeras.layers.configuration import LayerConfiguration
from distkeras.layers.signature import signature_of
from distkeras.ops.symbolic import KerasTensor, Operation, infer_spec
from distkeras.utils import tree

__all__ = ["Layer"]


class Layer(LayerConfiguration, LayerCall):
    """A computation with its weights; the base of all layers.

    A subclass creates its weights in `build(input_shape)` with `add_weight` (or in `__init__` by
    creating other layers), computes in `call(inputs)`, and answers its arguments in `get_config()`.

    Args:
        activity_regularizer: a regularizer of the outputs, whose value is added to the loss.
        trainable: whether optimizers may change the weights, default `True`.
        dtype: a dtype policy or dtype name, default `keras.config.dtype_policy()`.
        autocast: whether float inputs are cast to the policy's compute dtype, default `True`.
        name: a name, default from the class, `dense`, `dense_1`, ...

    Example:
        >>> import distkeras as keras
        >>> class Scale(keras.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> Scale()([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = recording_build(cls.__dict__["build"])

    def __init__(
        self,
        *,
        activity_regularizer=None,
        trainable=True,
        dtype=None,
        autocast=True,
        name=None,
        **kwargs,
    ):
        Operation.__init__(self, name=name)
        shape = kwargs.pop("input_shape", None)
        shape_with_batch = kwargs.pop("batch_input_shape", kwargs.pop("batch_shape", None))
        input_dim = kwargs.pop("input_dim", None)
        if input_dim is not None:
            shape = (input_dim,)
        if shape is not None:
            shape_with_batch = (
                kwargs.pop("batch_size", None),
                *((shape,) if isinstance(shape, int) else shape),
            )
        if shape_with_batch is not None:
            self._input_shape_arg = tuple(shape_with_batch)
        if kwargs:
            raise ArgumentError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}. "
                "Expected those of its signature and "
                "activity_regularizer, trainable, dtype, autocast, name."
            )
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.dtype_policy = dtype_policies.get(dtype)
        self.autocast = autocast
        self.built = False
        self.input_spec = None
        self.supports_masking = False
        self._trainable = bool(trainable)
        self._losses: list = []
        self._build_shapes: Any = None
        self._path = self.name
        self._call_signature = signature_of(type(self).call)
        object.__setattr__(self, "_initialized", True)
        object.__setattr__(self, "_made_within", called_now())

    # --- the computation ---

    def call(self, *args, **kwargs):
        """The computation; subclasses override it."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call()` method implemented."
        )

    def compute_output_spec(self, *args, **kwargs):
        """The outputs' shapes and dtypes as `KerasTensor`s, from `compute_output_shape` or by
        running `call` on shapes."""
        if type(self).compute_output_shape is not Layer.compute_output_shape:
            first = args[0] if args else next(iter(kwargs.values()))
            shapes = tree.map_structure(lambda t: tuple(t.shape), first)
            return self._specs_of(self.compute_output_shape(shapes))
        return infer_spec(self.call, *args, **kwargs)

    def _specs_of(self, shapes):
        if isinstance(shapes, tuple) and all(d is None or isinstance(d, int) for d in shapes):
            return KerasTensor(shapes, self.compute_dtype)
        if isinstance(shapes, dict):
            return {k: self._specs_of(s) for k, s in shapes.items()}
        return type(shapes)(self._specs_of(s) for s in shapes)

    def _symbols_of(self, shape):
        """A shape, or a structure of shapes, as `KerasTensor`s."""
        if isinstance(shape, dict):
            return {k: self._symbols_of(s) for k, s in shape.items()}
        if all(d is None or isinstance(d, int) for d in shape):
            return KerasTensor(shape, self.compute_dtype)
        return [self._symbols_of(s) for s in shape]

    def compute_output_shape(self, *args, **kwargs):
        """The shape of the output for an input shape, with `None` for unknown sizes."""
        outputs = infer_spec(
            self.call,
            *(self._symbols_of(a) for a in args),
            **{k.removesuffix("_shape"): self._symbols_of(v) for k, v in kwargs.items()},
        )
        return tree.map_structure(lambda t: t.shape, outputs)

    compute_output_shape.inferred = True  # type: ignore[attr-defined]
    # Keras's table does not run a layer that only infers its shape; some of its own tell theirs.
    _summary_infers_shape = False

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
