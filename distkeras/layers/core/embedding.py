"""`Embedding`: a row of a table for each integer."""

from typing import Any

from distkeras import ops
from distkeras.engine.dtypes import is_integer
from distkeras.errors import ShapeError
from distkeras.layers.arguments import arguments_of, positive_int, refuse, set_arguments
from distkeras.layers.layer import Layer
from distkeras.ops.picking import take_rows

__all__ = ["Embedding"]


class Embedding(Layer):
    """The rows of a trainable table that integers name.

    Args:
        input_dim: the number of rows: the largest integer plus one.
        output_dim: the length of a row.
        embeddings_initializer: default uniform.
        embeddings_regularizer: added to the loss, default none.
        embeddings_constraint: applied after each update, default none.
        mask_zero: whether 0 is padding that later layers leave out, default `False`.
        weights: the table's first values, `(input_dim, output_dim)`.
        lora_rank, lora_alpha, quantization_config: must be `None`.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Inputs:
        integers of any shape; outputs have one axis more, of size `output_dim`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
        ShapeError: where an integer names no row.

    Example:
        >>> Embedding(10, 4)([[1, 2, 0]]).shape
        (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        kwargs.pop("input_length", None)  # of older Keras; it says nothing that the inputs do not
        super().__init__(**kwargs)
        refuse(
            self,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        self.input_dim = positive_int(self, "input_dim", input_dim)
        self.output_dim = positive_int(self, "output_dim", output_dim)
        set_arguments(
            self,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
        )
        self.mask_zero = mask_zero
        self.quantization_config = None
        self.supports_masking = mask_zero
        # Integers must not become floats of the compute dtype: the output is cast instead.
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(
                weights if isinstance(weights, list | tuple) and len(weights) == 1 else [weights]
            )

    def build(self, input_shape=None):
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs):
        if not is_integer(inputs.dtype):
            inputs = ops.cast(inputs, "int32")
        try:
            rows = take_rows(self.embeddings, inputs)
        except ShapeError as error:
            raise ShapeError(
                f"The Embedding layer '{self.name}' has input_dim={self.input_dim}: it takes "
                f"integers from 0 to {self.input_dim - 1}. {error}. Give it the size of the "
                "vocabulary, the number for padding included, or check how the data were encoded."
            ) from error
        return ops.cast(rows, self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        """Where the inputs are not 0, if `mask_zero` says so."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        names = (
            "input_dim output_dim embeddings_initializer embeddings_regularizer "
            "activity_regularizer "
            "embeddings_constraint mask_zero quantization_config"
        )
        return {**super().get_config(), **arguments_of(self, names)}
