"""What a layer's call hands down to the layers called within: `training`, the name scope, losses
collected."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

__all__ = ["CallContext", "call_context", "called_now", "name_scope"]


class CallContext:
    """State of the outermost layer call.

    Attributes:
        entry: the layer that was called first.
        training: `True`, `False` or `None` where nobody said.
        scope: names of the layers being called, outermost first.
        builds: how many `build`s are running.
    """

    __slots__ = ("builds", "entry", "scope", "training")

    def __init__(self, entry: Any):
        self.entry = entry
        self.training: bool | None = None
        self.scope: list[str] = []
        self.builds = 0

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Around a `build`, in which layers may be made."""
        self.builds += 1
        try:
            yield
        finally:
            self.builds -= 1


_CONTEXT: contextvars.ContextVar[CallContext | None] = contextvars.ContextVar(
    "call_context", default=None
)
call_context = _CONTEXT


def called_now() -> str | None:
    """The name of the layer whose `call` is running, `None` outside and while layers are built."""
    current = _CONTEXT.get()
    return (
        current.scope[-1] if current is not None and current.scope and not current.builds else None
    )


@contextlib.contextmanager
def name_scope(layer: Any) -> Iterator[None]:
    """Let the names of what is built in a `with` block start with a layer's, also outside a call of
    it.

    Args:
        layer: the layer; where it is being called, its name is there already.
    """
    current, token = _CONTEXT.get(), None
    if current is None:
        current = CallContext(layer)
        token = _CONTEXT.set(current)
    elif current.scope and current.scope[-1] == layer.name:
        yield
        return
    current.scope.append(layer.name)
    try:
        yield
    finally:
        current.scope.pop()
        if token is not None:
            _CONTEXT.reset(token)
