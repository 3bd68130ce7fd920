"""`RuleOptimizer`: an optimizer that is a row of the table of rules, with its arguments."""

import inspect
from typing import Any, ClassVar

from distkeras.errors import ArgumentError
from distkeras.optimizers.base import BaseOptimizer
from distkeras.optimizers.optimizer import Optimizer
from distkeras.optimizers.rules import RULES, UpdateRule

__all__ = ["RuleOptimizer"]

_COMMON = [
    p
    for p in inspect.signature(BaseOptimizer.__init__).parameters.values()
    if p.name not in ("self", "learning_rate")
]


class RuleOptimizer(Optimizer):
    """The base of the built-in optimizers.

    A subclass lists its own arguments with their defaults in `arguments`; those of every optimizer
    follow. It names its row of `RULES` in `rule_name`.
    """

    arguments: ClassVar[dict[str, Any]] = {}
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "arguments" not in cls.__dict__:
            if "__init__" in cls.__dict__:  # a user's own arguments, not the built-in ones
                signature = inspect.signature(cls.__dict__["__init__"])
                parameters = list(signature.parameters.values())[1:]
                cls.__signature__ = signature.replace(parameters=parameters)
            return
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [inspect.Parameter(n, kind, default=d) for n, d in cls.arguments.items()]
        cls._bound = inspect.Signature([*own, *(p for p in _COMMON if p.name not in cls.arguments)])
        cls.__signature__ = cls._bound

    _bound: ClassVar[inspect.Signature]

    def __init__(self, *args: Any, **kwargs: Any):
        bound = self._bound.bind(*args, **kwargs)
        bound.apply_defaults()
        values = dict(bound.arguments)
        values |= values.pop("kwargs", {})
        own = {n: values.pop(n) for n in self.arguments if n not in _SHARED}
        super().__init__(**values)
        for name, value in own.items():
            setattr(self, name, value)
        self._check()

    def _check(self) -> None:
        """Raise an `ArgumentError` where an argument of the subclass makes no sense."""

    def rule_name(self) -> str:
        """The row of `RULES`."""
        raise NotImplementedError(f"{type(self).__name__} names no rule")

    def _choose_rule(self) -> UpdateRule | None:
        return RULES[self.rule_name()]

    def _refuse(self, name: str, what: str) -> None:
        raise ArgumentError(f"`{name}` {what}. Received: {name}={getattr(self, name)}.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        own = {n: getattr(self, n) for n in self.arguments if n not in _SHARED}
        return super().get_config() | own


_SHARED = frozenset(("learning_rate", *(p.name for p in _COMMON)))
