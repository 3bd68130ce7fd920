"""Classes that differ by a formula and its settings only, made from the rows of a table."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["formula_class"]


def formula_class(
    name: str,
    base: type,
    function: Callable,
    *,
    module: str,
    settings: Mapping[str, Any],
    common: Mapping[str, Any],
    order: str,
    base_config: Callable[[Any], dict],
    unsaved: tuple[str, ...] = (),
    check: Callable | None = None,
    members: Mapping[str, Any] | None = None,
) -> type:
    """A subclass of `base` whose constructor binds a function's settings.

    Args:
        name: the class's name.
        base: its base, whose constructor takes the function, the common arguments and the settings.
        function: the formula.
        module: the package that publishes the class.
        settings: the settings of the formula with their defaults; attributes of instances.
        common: the arguments that all classes of the table have, with their defaults.
        order: the constructor's arguments in their order, separated by spaces.
        base_config: the part of the configuration that all classes have.
        unsaved: settings that the configuration holds only where they differ from the default.
        check: called with the settings; raises where they make no sense.
        members: further class attributes.

    Returns:
        The class.

    Example:
        >>> class Base:
        ...     def __init__(self, function, power):
        ...         self.power = power
        >>> cube = formula_class("Cube", Base, pow, module="x", settings={"power": 3}, common={},
        ...                      order="power", base_config=lambda self: {})
        >>> cube().get_config()
        {'power': 3}
    """
    defaults = {**settings, **common}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [inspect.Parameter(n, kind, default=defaults[n]) for n in order.split()]
    )

    def __init__(self, *args, **kwargs):
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{signature}: {error}") from None
        bound.apply_defaults()
        values = {n: bound.arguments[n] for n in settings}
        if check is not None:
            check(**values)
        base.__init__(self, function, **{n: bound.arguments[n] for n in common}, **values)
        for setting, value in values.items():
            setattr(self, setting, value)

    def get_config(self):
        config = base_config(self)
        for setting, default in settings.items():
            value = getattr(self, setting)
            if setting not in unsaved or value != default:
                config[setting] = value
        return config

    lines = inspect.cleandoc(function.__doc__ or "").splitlines() or [""]
    doc = (
        f"{lines[0]}\n\nSee `{function.__name__}` for the formula.\n\nArgs:\n    "
        f"{', '.join(signature.parameters)}: see `{base.__name__}` and the function.\n"
    )
    body = {
        "__init__": __init__,
        "__signature__": signature,
        "__doc__": doc,
        "__module__": module,
        "__qualname__": name,
        "get_config": get_config,
        **(members or {}),
    }
    return type(name, (base,), body)
