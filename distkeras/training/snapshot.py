"""What of a running `fit` is saved, and how it is put back.

a) *Global* state is taken from rank 0, which holds what all ranks hold: the model's variables, its
   optimizers' variables, the state of the global seed generator, the position of the data, and the
   states of callbacks that run everywhere.
b) *Rank* state is each rank's own: its share of the metrics, Python's and NumPy's random states,
   callbacks that run there alone, and the values that the last step returned. On as many ranks as
   before each gets its own back. On another number metrics are joined by their own rule, and rank 0
   gets the sums.
c) What the two are for is compared first: a model, optimizer or data set that differs from the one
   in the checkpoint is an error that says what differs, before anything is changed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras.distribution.world import rank
from distkeras.engine.batch import REDUCED
from distkeras.engine.tensor import from_host
from distkeras.errors import CheckpointError
from distkeras.optimizers.optimizer import Optimizer
from distkeras.random.seed_generator import global_seed_generator, global_seed_state
from distkeras.training.feeding import host_number
from distkeras.utils.seeding import random_states, set_random_states

__all__ = [
    "check",
    "global_state",
    "is_smaller",
    "optimizers_of",
    "pairs_with_state",
    "raise_differences",
    "rank_logs",
    "rank_state",
    "restore_global",
    "restore_rank",
    "structure_of",
]

_CONTAINERS = ("list", "tuple", "dict", "TrackedList", "TrackedDict")
_SHOWN = 5  # differences that a message lists


# --- what a model consists of ---


def optimizers_of(model: Any) -> list[Optimizer]:
    """The optimizers that a model and the models within it hold, each once."""
    found: list[Optimizer] = []
    entered: set[int] = set()  # containers, which may hold themselves

    def look(value: Any) -> None:
        if isinstance(value, Optimizer):
            if all(value is not known for known in found):
                found.append(value)
        elif type(value).__name__ in _CONTAINERS and id(value) not in entered:
            entered.add(id(value))
            for item in value.values() if isinstance(value, dict) else value:
                look(item)

    for layer in model._flatten_layers():
        for name, value in list(vars(layer).items()):
            if name != "_compile_config":  # what the user gave, before it was wrapped
                look(value)
    return found


def _metric_variables(model: Any) -> list:
    found, known = [], set()
    for metric in model.metrics:
        for v in metric.variables:
            if id(v) not in known:
                known.add(id(v))
                found.append(v)
    return found


def _variables(model: Any) -> list:
    """Those of the model without those of metrics."""
    metrics = {id(v) for v in _metric_variables(model)}
    return [v for v in model.variables if id(v) not in metrics]


def structure_of(model: Any) -> list[str]:
    """A line for each variable of a model and each optimizer: names that a program counts up
    (`dense_3`) are left out, since another layer made before does not make another model."""
    lines = [f"{_kind(v)} {v.shape} {v.handle.array.dtype.name}" for v in _variables(model)]
    return [f"model {type(model).__name__}", *lines]


def _kind(variable: Any) -> str:
    return f"{'trainable' if variable.trainable else 'fixed'} {variable.name}"


def is_smaller(model: Any, state: dict) -> bool:
    """Whether variables are missing that the saved model has: the first step makes them."""
    saved = state["model"]
    return (
        len(_variables(model)) < len(saved["values"])
        or len(_metric_variables(model)) < saved["metrics"]
    )


# --- taking ---


def global_state(model: Any) -> dict[str, Any]:
    """The state that all ranks share, in host arrays of its own."""
    variables = _variables(model)
    position = {id(v): i for i, v in enumerate(variables)}
    optimizers = []
    for optimizer in optimizers_of(model):
        values: dict[str, Any] = {}
        optimizer.save_own_variables(values)
        built_with = [position.get(id(v), -1) for v in optimizer._trainable_variables]
        optimizers.append(
            {
                "class": type(optimizer).__name__,
                "built": bool(optimizer.built),
                "built_with": built_with,
                "values": values,
            }
        )
    return {
        "model": {
            "structure": structure_of(model),
            "paths": [v.path for v in variables],
            "values": [v.numpy() for v in variables],
            "metrics": len(_metric_variables(model)),
        },
        "optimizers": optimizers,
        "seed": global_seed_state(),
    }


def rank_state(model: Any) -> dict[str, Any]:
    """The state that each rank has for itself."""
    return {
        "metrics": [(v.aggregation, v.numpy()) for v in _metric_variables(model)],
        "random": random_states(),
    }


def rank_logs(logs: Any) -> Any:
    """What a step returned, as it can be saved: name -> value, and whether it is a part of a
    sum."""
    if not isinstance(logs, dict):
        return None
    found: dict[str, tuple[Any, bool | None]] = {}
    for name, value in logs.items():
        number = host_number(value)
        if isinstance(number, dict):
            found[name] = (rank_logs(value), None)
        else:
            found[name] = (number, getattr(value, "batch", None) == REDUCED)
    return found


# --- comparing ---


def check(model: Any, state: dict[str, Any], where: str) -> None:
    """Compare a model with that of a checkpoint.

    Args:
        model: the model.
        state: a `global_state`.
        where: what to call the checkpoint.

    Raises:
        CheckpointError: where they differ; it says in what.
    """
    saved, here = state["model"]["structure"], structure_of(model)
    paths = ["", *state["model"]["paths"]]
    differences = [
        f"{path or 'class'}: {old} in the checkpoint, {new} here"
        for path, old, new in zip(paths, saved, here, strict=False)
        if old != new
    ]
    if len(saved) != len(here):
        differences.append(f"{len(saved) - 1} variables in the checkpoint, {len(here) - 1} here")
    optimizers = optimizers_of(model)
    old_names = [each["class"] for each in state["optimizers"]]
    new_names = [type(o).__name__ for o in optimizers]
    if old_names != new_names:
        differences.append(
            f"optimizers: {_named(old_names)} in the checkpoint, {_named(new_names)} here"
        )
    else:
        for optimizer, old in zip(optimizers, state["optimizers"], strict=True):
            count = len(optimizer.variables)
            if old["built"] and not optimizer.built and -1 in old["built_with"]:
                differences.append(
                    f"{type(optimizer).__name__}: built with variables that are not the model's; "
                    "build it before `fit`"
                )
            if optimizer.built and old["built"] and count != len(old["values"]):
                differences.append(
                    f"{type(optimizer).__name__}: {len(old['values'])} variables in the "
                    f"checkpoint, {count} here (other settings, such as momentum or a schedule)"
                )
    raise_differences("The model", differences, where)


def raise_differences(what: str, differences: list[str], where: str) -> None:
    """Raise `CheckpointError` where there are differences."""
    if not differences:
        return
    shown = differences[:_SHOWN]
    if len(differences) > _SHOWN:
        shown.append(f"and {len(differences) - _SHOWN} more")
    raise CheckpointError(
        f"{what} is not that of the checkpoint {where}:\n  "
        + "\n  ".join(shown)
        + "\nResume with the program that wrote it, or start anew without --resume."
    )


def _named(names: list[str]) -> str:
    return ", ".join(names) or "none"


# --- putting back ---


def restore_global(model: Any, state: dict[str, Any]) -> None:
    """Put the shared state back; `check` was called before."""
    variables = _variables(model)
    for optimizer, saved in zip(optimizers_of(model), state["optimizers"], strict=True):
        if not saved["built"]:
            continue
        if not optimizer.built:
            optimizer.build([variables[i] for i in saved["built_with"]])
        optimizer.load_own_variables(saved["values"])
    for v, value in zip(variables, state["model"]["values"], strict=True):
        v.assign(value)
    if state["seed"] is not None:
        global_seed_generator().state.assign(state["seed"])


def restore_rank(model: Any, states: list[dict[str, Any]], size: int) -> Any:
    """Put this rank's own state back.

    Args:
        model: the model.
        states: the `rank_state`s of all ranks that wrote the checkpoint.
        size: how many ranks there are now.

    Returns:
        What the last step returned, for `fit`.
    """
    same = len(states) == size
    mine = states[rank()] if same else states[min(rank(), len(states) - 1)]
    saved = [each["metrics"] for each in states]
    for i, v in enumerate(_metric_variables(model)):
        if same:
            v.assign(mine["metrics"][i][1])
        else:
            v.assign(_joined(saved[0][i][0], [each[i][1] for each in saved]))
    set_random_states(mine["random"])
    if same or mine["logs"] is None:
        return _logs(mine["logs"], lambda name: mine["logs"][name])
    return _logs(mine["logs"], lambda name: _joined_log([each["logs"][name] for each in states]))


def _joined(aggregation: str, values: list[np.ndarray]) -> np.ndarray:
    if aggregation == "none":
        return values[0]
    total = np.sum(np.stack(values).astype(np.float64), axis=0)
    if aggregation == "mean":
        total = total / len(values)
    elif rank() != 0:
        total = np.zeros_like(total)
    return total.astype(values[0].dtype)


def _joined_log(saved: list[tuple]) -> tuple:
    partial = saved[0][1]
    if partial is None:
        return saved[0]
    total = sum(np.asarray(value, np.float64) for value, _ in saved)
    if partial:
        return (total if rank() == 0 else 0.0 * total), True
    return total / len(saved), False


def _logs(saved: Any, of: Callable[[str], tuple]) -> Any:
    if saved is None:
        return None
    return dict(_unsaved(name, *of(name)) for name in saved)


def _unsaved(name: str, value: Any, partial: bool | None) -> tuple[str, Any]:
    if partial is None:
        return name, _logs(value, lambda inner: value[inner])
    if partial:
        value = from_host(np.asarray(value))
        value.batch = REDUCED
    return name, value


def pairs_with_state(callbacks: list) -> Iterator[tuple[str, Any]]:
    """The callbacks that can be asked for a state, each with a key: class and number within it."""
    counts: dict[str, int] = {}
    for callback in callbacks:
        if not hasattr(callback, "get_state") or not hasattr(callback, "set_state"):
            continue
        name = type(callback).__name__
        counts[name] = counts.get(name, -1) + 1
        yield f"{name}/{counts[name]}", callback
