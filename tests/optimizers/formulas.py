"""The rules once more, as plainly as papers and Keras's documentation state them, in float64."""

import numpy as np


class Formula:
    """One parameter array with its own state; `step(g)` is an update."""

    def __init__(self, p, **arguments):
        self.p = np.array(p, "float64")
        self.t = 0
        self.s = {}
        self.__dict__.update(arguments)

    def slot(self, name, value=0.0):
        return self.s.setdefault(name, np.full(self.p.shape, value))

    def mean(self, name, new, decay):
        self.s[name] = decay * self.slot(name) + (1 - decay) * new
        return self.s[name]


class SGD(Formula):
    def step(self, g):
        if not self.momentum:
            self.p = self.p - self.lr * g
            return
        m = self.s["m"] = self.momentum * self.slot("m") - self.lr * g
        self.p = self.p + (self.momentum * m - self.lr * g if self.nesterov else m)


class Adam(Formula):
    def step(self, g):
        m, v = self.mean("m", g, self.beta_1), self.mean("v", g * g, self.beta_2)
        rate = self.lr * np.sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)
        if self.amsgrad:
            v = self.s["h"] = np.maximum(self.slot("h"), v)
        self.p = self.p - rate * m / (np.sqrt(v) + self.epsilon)


class Adamax(Formula):
    def step(self, g):
        m = self.mean("m", g, self.beta_1)
        u = self.s["u"] = np.maximum(self.beta_2 * self.slot("u"), np.abs(g))
        self.p = self.p - self.lr * m / ((1 - self.beta_1**self.t) * (u + self.epsilon))


class Nadam(Formula):
    def step(self, g):
        def schedule(t):
            return self.beta_1 * (1 - 0.5 * 0.96**t)

        now, following = schedule(self.t), schedule(self.t + 1)
        product = np.prod([schedule(t) for t in range(1, self.t + 1)])
        m, v = self.mean("m", g, self.beta_1), self.mean("v", g * g, self.beta_2)
        m_hat = following * m / (1 - product * following) + (1 - now) * g / (1 - product)
        v_hat = v / (1 - self.beta_2**self.t)
        self.p = self.p - self.lr * m_hat / (np.sqrt(v_hat) + self.epsilon)


class RMSprop(Formula):
    def step(self, g):
        v = self.mean("v", g * g, self.rho)
        if self.centered:
            v = v - self.mean("a", g, self.rho) ** 2
        step = self.lr * g / np.sqrt(v + self.epsilon)
        if self.momentum:
            step = self.s["m"] = self.momentum * self.slot("m") + step
        self.p = self.p - step


class Adagrad(Formula):
    def step(self, g):
        a = self.s["a"] = self.slot("a", self.initial_accumulator_value) + g * g
        self.p = self.p - self.lr * g / np.sqrt(a + self.epsilon)


class Adadelta(Formula):
    def step(self, g):
        a = self.mean("a", g * g, self.rho)
        step = np.sqrt(self.slot("d") + self.epsilon) / np.sqrt(a + self.epsilon) * g
        self.mean("d", step * step, self.rho)
        self.p = self.p - self.lr * step


class Ftrl(Formula):
    def step(self, g):
        old = self.slot("a", self.initial_accumulator_value)
        new = self.s["a"] = old + g * g
        power = -self.learning_rate_power
        shrunk = g + 2 * self.l2_shrinkage_regularization_strength * self.p
        z = self.slot("z") + shrunk - (new**power - old**power) / self.lr * self.p
        self.s["z"] = z
        l1 = self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * self.lr)
        self.p = np.where(
            np.abs(z) > l1, (np.sign(z) * l1 - z) / (new**power / self.lr + 2 * l2), 0.0
        )


class Lion(Formula):
    def step(self, g):
        m = self.slot("m")
        self.p = self.p - self.lr * np.sign(self.beta_1 * m + (1 - self.beta_1) * g)
        self.s["m"] = self.beta_2 * m + (1 - self.beta_2) * g


FORMULAS = {"AdamW": Adam} | {cls.__name__: cls for cls in Formula.__subclasses__()}


def run(cls, arguments, p, gradients, rates, decay=None):
    """The parameters after updates with given gradients and learning rates."""
    formula = FORMULAS[cls](p, **arguments)
    for formula.t, (g, formula.lr) in enumerate(zip(gradients, rates, strict=True), 1):
        if decay is not None:
            formula.p = formula.p - decay * formula.lr * formula.p
        formula.step(np.asarray(g, "float64"))
    return formula.p
