"""The table of update rules: what one step does to a parameter, as text.

The statements are in the language of `engine/updates.py`, from which the code of every device
follows. They know these names:
  - flat arrays: `p` the parameters, `g` their gradient (after scaling and clipping, only read), and
    the symbols of the rule's slots;
  - numbers: `lr`, `t` the number of this update from 1, the rule's parameters (attributes of the
    optimizer) and its state.
What is made of numbers alone, such as a bias correction, is computed once a step, in double
precision.
"""

import dataclasses

__all__ = ["RULES", "UpdateRule"]


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """One row of the table.

    Attributes:
        update: the statements.
        slots: `symbol=name` of every slot, those of one group separated by spaces, groups by `;`.
            Files hold a group's slots variable by variable, and group after group.
        parameters: names of the optimizer's attributes that the statements read.
        initial: symbol of a slot -> the attribute with its first value; others begin with 0.
        state: `name -> (first value, expression of the next one)`: numbers that are saved, computed
            before the update.
        scope: what an update of one element needs to know: `"element"` that element alone, so any
            slice can be updated by itself; `"variable"` the whole variable; `"global"` all of them.
    """

    update: str
    slots: str = ""
    parameters: tuple[str, ...] = ()
    initial: tuple[tuple[str, str], ...] = ()
    state: tuple[tuple[str, float, str], ...] = ()
    scope: str = "element"

    @property
    def groups(self) -> list[list[tuple[str, str]]]:
        """The slots as `(symbol, name)`, by group."""
        groups = [group.split() for group in self.slots.split(";")]
        return [[tuple(s.split("=")) for s in group] for group in groups if group]  # type: ignore[misc]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of all slots."""
        return tuple(symbol for group in self.groups for symbol, _ in group)


_SGD_MOMENTUM = "m = m * momentum - g * lr; "
_ADAM_MOMENTS = "m = m + (g - m) * (1 - beta_1); v = v + (square(g) - v) * (1 - beta_2); "
_ADAM_RATE = "rate = lr * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t); "
_RMS = "v = rho * v + (1 - rho) * square(g); "
_RMS_CENTERED = _RMS + "a = rho * a + (1 - rho) * g; "
_RMS_STEP = "lr * g / sqrt(v + epsilon)"
_RMS_CENTERED_STEP = "lr * g / sqrt(v - square(a) + epsilon)"
_RMS_MOMENTUM = "m = momentum * m + {}; p = p - m"

RULES: dict[str, UpdateRule] = {
    "sgd": UpdateRule("p = p - g * lr"),
    "sgd_momentum": UpdateRule(_SGD_MOMENTUM + "p = p + m", "m=momentum", ("momentum",)),
    # Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    "sgd_nesterov": UpdateRule(
        _SGD_MOMENTUM + "p = p + (m * momentum - g * lr)", "m=momentum", ("momentum",)
    ),
    # Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, with the bias corrections
    # in the rate and epsilon beside the uncorrected root ("epsilon hat").
    "adam": UpdateRule(
        _ADAM_RATE + _ADAM_MOMENTS + "p = p - m * rate / (sqrt(v) + epsilon)",
        "m=momentum v=velocity",
        ("beta_1", "beta_2", "epsilon"),
    ),
    # Reddi et al., "On the Convergence of Adam and Beyond", 2018.
    "adam_amsgrad": UpdateRule(
        _ADAM_RATE + _ADAM_MOMENTS + "h = maximum(h, v); p = p - m * rate / (sqrt(h) + epsilon)",
        "m=momentum v=velocity; h=velocity_hat",
        ("beta_1", "beta_2", "epsilon"),
    ),
    # Section 7.1 of the paper of Adam.
    "adamax": UpdateRule(
        "rate = lr / (1 - beta_1 ** t); m = m + (g - m) * (1 - beta_1); "
        "u = maximum(beta_2 * u, abs(g)); p = p - m * rate / (u + epsilon)",
        "m=momentum u=norm",
        ("beta_1", "beta_2", "epsilon"),
    ),
    # Dozat, "Incorporating Nesterov Momentum into Adam", 2015, with its momentum schedule.
    "nadam": UpdateRule(
        "now = beta_1 * (1 - 0.5 * 0.96 ** t); next = beta_1 * (1 - 0.5 * 0.96 ** (t + 1)); "
        + _ADAM_MOMENTS
        + "s = m * (next / (1 - product * next)) + g * ((1 - now) / (1 - product)); "
        "p = p - s * lr / (sqrt(v / (1 - beta_2 ** t)) + epsilon)",
        "m=momentum v=velocity",
        ("beta_1", "beta_2", "epsilon"),
        state=(("product", 1.0, "product * beta_1 * (1 - 0.5 * 0.96 ** t)"),),
    ),
    # Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012; centered and
    # with momentum after Graves, "Generating Sequences With Recurrent Neural Networks", 2013.
    "rmsprop": UpdateRule(_RMS + f"p = p - {_RMS_STEP}", "v=velocity", ("rho", "epsilon")),
    "rmsprop_momentum": UpdateRule(
        _RMS + _RMS_MOMENTUM.format(_RMS_STEP),
        "v=velocity; m=momentum",
        ("rho", "epsilon", "momentum"),
    ),
    "rmsprop_centered": UpdateRule(
        _RMS_CENTERED + f"p = p - {_RMS_CENTERED_STEP}",
        "v=velocity; a=average_gradient",
        ("rho", "epsilon"),
    ),
    "rmsprop_centered_momentum": UpdateRule(
        _RMS_CENTERED + _RMS_MOMENTUM.format(_RMS_CENTERED_STEP),
        "v=velocity; m=momentum; a=average_gradient",
        ("rho", "epsilon", "momentum"),
    ),
    # Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization".
    "adagrad": UpdateRule(
        "a = a + square(g); p = p - lr * g / sqrt(a + epsilon)",
        "a=accumulator",
        ("epsilon",),
        initial=(("a", "initial_accumulator_value"),),
    ),
    # Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
    "adadelta": UpdateRule(
        "a = rho * a + (1 - rho) * square(g); "
        "step = sqrt(d + epsilon) * g / sqrt(a + epsilon); "
        "d = rho * d + (1 - rho) * square(step); p = p - lr * step",
        "a=accumulated_grad d=accumulated_delta_var",
        ("rho", "epsilon"),
    ),
    # McMahan et al., "Ad Click Prediction: a View from the Trenches", 2013, algorithm 1, with
    # shrinkage; `linear` is the z of the paper.
    "ftrl": UpdateRule(
        "n = a + square(g); old = power(a, -learning_rate_power); "
        "new = power(n, -learning_rate_power); "
        "z = z + (g + 2 * l2_shrinkage_regularization_strength * p - (new - old) / lr * p); "
        "l1 = l1_regularization_strength; "
        "p = (minimum(maximum(z, -l1), l1) - z) "
        "/ (new / lr + 2 * (l2_regularization_strength + beta / (2 * lr))); a = n",
        "a=accumulator z=linear",
        (
            "learning_rate_power",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
            "beta",
        ),
        initial=(("a", "initial_accumulator_value"),),
    ),
    # Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023.
    "lion": UpdateRule(
        "p = p - lr * sign(m * beta_1 + g * (1 - beta_1)); m = m * beta_2 + g * (1 - beta_2)",
        "m=momentum",
        ("beta_1", "beta_2"),
    ),
}
