"""Activations with a kink at zero, each with its derivative: cheaper than choices."""

from distkeras.engine.primitive import elementwise
from distkeras.engine.primitives.elementwise import multiply, zero_like

__all__ = ["elu", "elu_grad", "leaky_relu", "leaky_relu_grad"]

# Factors and extrema, not choices: NumPy's `where` is ten times slower where the condition is
# irregular.
leaky_relu = elementwise(
    "leaky_relu", "maximum(x, 0) + minimum(x, 0) * a", saves="x0",
    vjp=lambda e, g: leaky_relu_grad(g, e.x[0], a=e.params["a"]),
)  # fmt: skip
leaky_relu_grad = elementwise(
    "leaky_relu_grad", "x * (y > 0) + x * (y <= 0) * a", saves="x1",
    vjp=lambda e, g: (leaky_relu_grad(g, e.x[1], a=e.params["a"]), zero_like(e.x[1])),
)  # fmt: skip
elu = elementwise(
    "elu",
    "maximum(x, 0) + expm1(minimum(x, 0)) * a",
    saves="x0",
    vjp=lambda e, g: elu_grad(g, e.x[0], a=e.params["a"]),
)
elu_grad = elementwise(
    "elu_grad", "x * (y > 0) + x * (y <= 0) * exp(minimum(y, 0)) * a", saves="x",
    vjp=lambda e, g: (
        elu_grad(g, e.x[1], a=e.params["a"]), multiply(g, elu_curve(*e.x, a=e.params["a"]))
    ),
)  # fmt: skip
# The derivative of `elu_grad` by its second input.
elu_curve = elementwise(
    "elu_curve", "x * (y <= 0) * exp(minimum(y, 0)) * a", saves="x",
    vjp=lambda e, g: (
        elu_curve(g, e.x[1], a=e.params["a"]), multiply(g, elu_curve(*e.x, a=e.params["a"]))
    ),
)  # fmt: skip
