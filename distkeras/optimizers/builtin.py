"""The built-in optimizers: arguments, and which rule they choose. The rules are in `rules.py`."""

from distkeras.errors import ArgumentError
from distkeras.optimizers.rule_optimizer import RuleOptimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "RMSprop",
]


class SGD(RuleOptimizer):
    """Gradient descent, with momentum if asked for.

    Args:
        learning_rate: the rate, default 0.01.
        momentum: the share of the last step in the next one, a float from 0 to 1, default 0.
        nesterov: whether the momentum looks one step ahead.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> w = keras.Variable([1.0])
        >>> sgd = keras.optimizers.SGD(learning_rate=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     sgd.apply([keras.ops.ones((1,))], [w])
        >>> w.numpy().tolist()
        [0.375]
    """

    arguments = {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    momentum: float
    nesterov: bool

    def _check(self):
        if not isinstance(self.momentum, float) or not 0 <= self.momentum <= 1:
            self._refuse("momentum", "must be a float between [0, 1]")

    def rule_name(self) -> str:
        """The row of `RULES`."""
        if self.momentum == 0:
            return "sgd"
        return "sgd_nesterov" if self.nesterov else "sgd_momentum"


_MOMENTS = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


class Adam(RuleOptimizer):
    """Steps scaled by running means of the gradient and of its square.

    Args:
        learning_rate: the rate, default 0.001.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the mean of squares.
        epsilon: what is added to the root of the mean of squares.
        amsgrad: whether to divide by the largest mean of squares so far.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> w = keras.Variable([1.0])
        >>> keras.optimizers.Adam(learning_rate=0.5).apply([keras.ops.ones((1,))], [w])
        >>> round(float(w.value[0]), 4)
        0.5
    """

    arguments = {**_MOMENTS, "amsgrad": False}
    amsgrad: bool

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "adam_amsgrad" if self.amsgrad else "adam"


class AdamW(Adam):
    """Adam with weight decay.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017.

    Args:
        learning_rate: the rate, default 0.001.
        weight_decay: before each update a variable loses this part of itself times the rate.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the mean of squares.
        epsilon: what is added to the root of the mean of squares.
        amsgrad: whether to divide by the largest mean of squares so far.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.AdamW().weight_decay
        0.004
    """

    arguments = {"learning_rate": 0.001, "weight_decay": 0.004, **_MOMENTS, "amsgrad": False}

    def _check(self):
        if self.weight_decay is None:
            raise ArgumentError(
                "Argument `weight_decay` must be a float. Received: weight_decay=None"
            )


class Adamax(RuleOptimizer):
    """Adam with the largest of decaying gradients in place of the mean of squares.

    Args:
        learning_rate: the rate, default 0.001.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the largest gradient.
        epsilon: what is added to it.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.Adamax().beta_2
        0.999
    """

    arguments = _MOMENTS

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "adamax"


class Nadam(RuleOptimizer):
    """Adam with Nesterov momentum.

    Args:
        learning_rate: the rate, default 0.001.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the mean of squares.
        epsilon: what is added to the root of the mean of squares.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.Nadam().beta_1
        0.9
    """

    arguments = _MOMENTS

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "nadam"


class RMSprop(RuleOptimizer):
    """Gradients divided by the root of their running mean square.

    Args:
        learning_rate: the rate, default 0.001.
        rho: decay of the mean of squares.
        momentum: the share of the last step in the next one.
        epsilon: what is added to the mean of squares.
        centered: whether the square of the mean gradient is subtracted from the mean of squares.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.RMSprop().rho
        0.9
    """

    arguments = {
        "learning_rate": 0.001,
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "centered": False,
    }
    momentum: float
    centered: bool

    def rule_name(self) -> str:
        """The row of `RULES`."""
        centered = "_centered" if self.centered else ""
        return f"rmsprop{centered}{'_momentum' if self.momentum > 0 else ''}"


class Adagrad(RuleOptimizer):
    """Gradients divided by the root of the sum of their squares.

    Args:
        learning_rate: the rate, default 0.001.
        initial_accumulator_value: the first value of the sum.
        epsilon: what is added to the sum.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.Adagrad().initial_accumulator_value
        0.1
    """

    arguments = {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7}

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "adagrad"


class Adadelta(RuleOptimizer):
    """Steps scaled by the ratio of running means of squared steps and squared gradients.

    Args:
        learning_rate: the rate, default 0.001; 1 is that of the paper.
        rho: decay of both means.
        epsilon: what is added to both means.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.Adadelta().rho
        0.95
    """

    arguments = {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7}

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "adadelta"


class Ftrl(RuleOptimizer):
    """Follow the regularized leader: for sparse, wide models.

    Args:
        learning_rate: the rate, default 0.001.
        learning_rate_power: how the rate falls with the sum of squared gradients, 0 or less.
        initial_accumulator_value: the first value of that sum.
        l1_regularization_strength: pulls parameters to exactly 0.
        l2_regularization_strength: pulls parameters towards 0.
        l2_shrinkage_regularization_strength: a penalty on the size of parameters.
        beta: the beta of the paper.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.Ftrl().learning_rate_power
        -0.5
    """

    arguments = {
        "learning_rate": 0.001,
        "learning_rate_power": -0.5,
        "initial_accumulator_value": 0.1,
        "l1_regularization_strength": 0.0,
        "l2_regularization_strength": 0.0,
        "l2_shrinkage_regularization_strength": 0.0,
        "beta": 0.0,
    }

    def _check(self):
        for name in ("initial_accumulator_value", *self.arguments):
            if name.endswith(("_strength", "_value")) and getattr(self, name) < 0:
                self._refuse(name, "needs to be positive or zero")
        if self.learning_rate_power > 0:
            self._refuse("learning_rate_power", "needs to be negative or zero")

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "ftrl"


class Lion(RuleOptimizer):
    """Steps of one size, in the direction of the sign of a running mean.

    Args:
        learning_rate: the rate, default 0.001; usually 3 to 10 times smaller than Adam's.
        beta_1: share of the mean in the direction of a step, more than 0, at most 1.
        beta_2: decay of the mean of gradients.

    See `Optimizer` for the further arguments.

    Example:
        >>> import distkeras as keras
        >>> keras.optimizers.Lion().beta_2
        0.99
    """

    arguments = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}

    def _check(self):
        if not 0 < self.beta_1 <= 1:
            self._refuse("beta_1", "must be in the ]0, 1] range; at 0 this would be SignSGD")

    def rule_name(self) -> str:
        """The row of `RULES`."""
        return "lion"
