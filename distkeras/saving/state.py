"""The state of a model as named groups of arrays: which objects have state, and under which path.

Paths follow Keras, so that files are exchanged both ways. Starting at the model with the empty
path:
  a. an object that has `save_own_variables` stores its own arrays under its path;
  b. then its attributes are visited, by name, private ones last; `layers` of a Sequential or
     functional model first of all. An attribute that is an object with state goes to
     `path/attribute`;
  c. the elements of a list, tuple or dictionary go to `path/attribute/class_name`, the second of a
     class to `.../class_name_1`, and containers within to `.../container`;
  d. an object that is reachable in two ways is stored once, under the first path.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from distkeras.errors import DistkerasError, SavingError
from distkeras.layers.layer import Layer
from distkeras.losses.loss import Loss
from distkeras.metrics.metric import Metric
from distkeras.ops.symbolic import Operation
from distkeras.saving.h5_store import ArrayGroup, child_group, set_text
from distkeras.utils.naming import to_snake_case

__all__ = ["load_state", "save_state"]

# Attributes of our models through which layers are reachable a second time.
_INTERNAL = frozenset(("_functional", "operations", "_operations", "_layers"))


def save_state(model: Any, file: Any, skip: tuple[Any, ...] = ()) -> None:
    """Writes the state of a model into an HDF5 file.

    Args:
        model: a model, or any layer.
        file: an HDF5 file open for writing.
        skip: objects that are left out.
    """
    for path, item in _walk(model, {id(one) for one in skip}):
        if not hasattr(item, "save_own_variables"):
            continue
        name = getattr(item, "name", None)
        group = file.create_group(f"{path}/vars" if path else "vars")
        if isinstance(name, str):
            set_text(group, "name", name)
        item.save_own_variables(ArrayGroup(group))


def load_state(
    model: Any, file: Any, skip: tuple[Any, ...] = ()
) -> list[tuple[Any, DistkerasError | Exception]]:
    """Reads the state of a model from an HDF5 file.

    Args:
        model: a model, or any layer, whose variables exist.
        file: an HDF5 file.
        skip: objects that are left out.

    Returns:
        The objects that could not be loaded, each with the reason.
    """
    failed: dict[int, tuple[Any, Exception]] = {}
    done = {id(one) for one in skip}

    def may_enter(item: Any) -> bool:
        return id(item) not in done

    for path, item in _walk(model, set(), may_enter):
        if not hasattr(item, "load_own_variables"):
            done.add(id(item))
            continue
        try:
            item.load_own_variables(ArrayGroup(child_group(file, f"{path}/vars".lstrip("/"))))
        except Exception as error:
            # Another path may lead to it too: the first one differs between programs.
            failed.setdefault(id(item), (item, error))
        else:
            failed.pop(id(item), None)
            done.add(id(item))
    return list(failed.values())


def _walk(
    root: Any, seen: set[int], may_enter: Callable[[Any], bool] | None = None
) -> Iterator[tuple[str, Any]]:
    """Objects with their paths, in the order described above.

    Args:
        root: where to begin.
        seen: ids of objects that are not visited; what has been visited is added, unless:
        may_enter: decides instead of `seen` whether an object is visited (again).
    """
    open_now: set[int] = set()  # the objects that lead here: a cycle ends at one of them

    def visit(item: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(item) in open_now or id(item) in seen or (may_enter and not may_enter(item)):
            return
        open_now.add(id(item))
        if may_enter is None:
            seen.add(id(item))
        yield path, item
        for name, value in _attributes(item):
            child = f"{path}/{name}".lstrip("/")
            if _has_state(value):
                yield from visit(value, child)
            elif isinstance(value, list | tuple | dict):
                yield from visit_container(value, child, set())
        open_now.discard(id(item))

    def visit_container(container: Any, path: str, outer: set[int]) -> Iterator[tuple[str, Any]]:
        if id(container) in outer:
            return
        counts: dict[str, int] = {}
        for value in container.values() if isinstance(container, dict) else container:
            nested = isinstance(value, list | tuple | dict)
            if not nested and not _has_state(value):
                continue
            name = "container" if nested else to_snake_case(type(value).__name__)
            number = counts[name] = counts.get(name, -1) + 1
            child = f"{path}/{name}_{number}" if number else f"{path}/{name}"
            if nested:
                yield from visit_container(value, child, {*outer, id(container)})
            else:
                yield from visit(value, child)

    yield from visit(root, "")


def _has_state(value: Any) -> bool:
    return not isinstance(value, type) and (
        isinstance(value, Operation | Metric | Loss) or hasattr(value, "save_own_variables")
    )


def _attributes(item: Any) -> Iterator[tuple[str, Any]]:
    skipped = _skipped(_base(item))
    graph_model = any(cls.__name__ in ("Sequential", "Functional") for cls in type(item).__mro__)
    if graph_model:
        yield "layers", item.layers
    names = [n for n in dir(item) if not n.startswith("__") and n not in skipped]
    for name in sorted(names, key=lambda n: f"~{n}" if n.startswith("_") else n):
        if graph_model and name in _INTERNAL:
            continue
        try:
            value = getattr(item, name)
        except Exception:  # a property that cannot be read now holds no state
            continue
        yield name, value


def _base(item: Any) -> type | None:
    return next((cls for cls in (Layer, Metric, Loss) if isinstance(item, cls)), None)


@functools.cache
def _skipped(base: type | None) -> frozenset[str]:
    """The attributes that every layer (metric, loss) has: they belong to distkeras."""
    return frozenset() if base is None else frozenset(dir(base(name="example")))


def describe_failures(failures: list[tuple[Any, Exception]], name: str) -> SavingError:
    """One error for the objects that could not be loaded.

    Args:
        failures: what `load_state` returned.
        name: what to call the file.
    """
    first, reason = failures[0]
    listed = ", ".join(getattr(item, "name", type(item).__name__) for item, _ in failures[:20])
    return SavingError(
        f"{len(failures)} object(s) could not be loaded from {name}: {listed}. The first one, "
        f"{getattr(first, 'name', first)!r} ({type(first).__name__}): {reason} "
        "The file belongs to another architecture, or was saved before its layers were built; "
        "nothing was loaded. Pass skip_mismatch=True to load what fits."
    )
