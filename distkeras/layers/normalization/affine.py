"""The trainable scale and offset that follow a normalization."""

from collections.abc import Sequence
from typing import Any

from distkeras.layers.arguments import arguments_of, set_arguments
from distkeras.layers.layer import Layer

__all__ = ["AFFINE_NAMES", "Affine"]

AFFINE_NAMES = (
    "center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer "
    "beta_constraint gamma_constraint"
)


class Affine(Layer):
    """The base of normalization layers with `gamma` and `beta`.

    Args:
        center: whether there is an offset `beta`, default `True`.
        scale: whether there is a factor `gamma`, default `True`.
        beta_initializer: default zeros.
        gamma_initializer: default ones.
        beta_regularizer, gamma_regularizer: added to the loss, default none.
        beta_constraint, gamma_constraint: applied after each update, default none.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    def __init__(
        self,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.center = center
        self.scale = scale
        set_arguments(
            self,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )
        self.supports_masking = True
        self.gamma = None
        self.beta = None

    def add_affine(self, shape: Sequence[int]) -> None:
        """Create `gamma` and `beta`, which keep the variable dtype in mixed precision."""
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                weight = self.add_weight(
                    name=name,
                    shape=shape,
                    initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    autocast=False,
                )
                setattr(self, name, weight)

    def compute_output_shape(self, input_shape):
        return input_shape

    def affine_config(self) -> dict:
        """The entries of the configuration that belong to `gamma` and `beta`."""
        return arguments_of(self, AFFINE_NAMES)
