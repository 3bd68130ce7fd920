"""Gradients: a list of what ran, walked in reverse.

a) While a tape is on, `bind` appends an entry for each operation that depends on something watched.
b) `gradient` marks which entries lead from the sources to the target, then walks them in reverse.
c) Each entry's vjp is written in primitives, so outer tapes record it: that is how second
   derivatives work.
d) A tensor that a variable gave out and that the tape saved keeps its value when the variable is
   assigned: the variable's storage gives it a copy first (`variable.py`).
"""

from collections import Counter
from typing import Any

from distkeras.engine import context
from distkeras.engine.batch import JOINED, MIXED, WHOLE
from distkeras.engine.primitives import add, full_like, scale, zeros
from distkeras.engine.tensor import Tensor
from distkeras.errors import GradientError
from distkeras.utils import tree

__all__ = ["Entry", "GradientTape", "pause"]


class Entry:
    """One operation that ran: what its vjp may read.

    Attributes:
        prim: the primitive.
        params: its parameters.
        x: the inputs, `None` where they were not saved.
        y: the outputs, where saved.
        shapes, dtypes: of the inputs, NumPy dtypes.
        needs: for each input, whether its cotangent is wanted.
    """

    __slots__ = (
        "dtypes",
        "in_uids",
        "needs",
        "out_specs",
        "out_uids",
        "params",
        "prim",
        "shapes",
        "x",
        "y",
    )

    def __init__(self, prim, params, inputs, outputs, needs):
        self.prim = prim
        self.params = params
        self.in_uids = [t.uid for t in inputs]
        self.out_uids = [t.uid for t in outputs]
        if prim.saves_inputs is None:
            self.x = inputs
        else:
            keep = prim.saves_inputs
            self.x = tuple([t if i in keep else None for i, t in enumerate(inputs)])
        self.y = outputs if prim.saves_output else None
        self.shapes = [t.array.shape for t in inputs]
        self.dtypes = [t.array.dtype for t in inputs]
        self.needs = needs
        self.out_specs = (
            None if len(outputs) == 1 else [(t.array.shape, t.array.dtype) for t in outputs]
        )


class GradientTape:
    """Records operations for automatic differentiation.

    Args:
        persistent: whether `gradient` may be called several times, default `False`.
        watch_accessed_variables: whether trainable variables are watched when they are read,
            default `True`.

    Example:
        >>> import distkeras as keras
        >>> x = keras.Variable(3.0)
        >>> with keras.GradientTape() as tape:
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self._entries: list[Entry] | None = []
        self._active: set[int] = set()
        self._variables: dict[int, tuple[Any, list[int]]] = {}
        self._kept: list[Tensor] = []

    def __enter__(self):
        if self in context.state().tapes:
            raise GradientError(
                "This GradientTape is recording already; a tape cannot be entered twice at once."
            )
        if self._entries is None:
            self.reset()
        context.set_tapes((*context.state().tapes, self))
        return self

    def __exit__(self, *error):
        context.set_tapes(tuple(t for t in context.state().tapes if t is not self))

    def reset(self) -> None:
        """Forget everything recorded so far."""
        self._entries, self._active, self._variables, self._kept = [], set(), {}, []

    def stop_recording(self):
        """A context within which this tape records nothing.

        Example:
            >>> import distkeras as keras
            >>> with keras.GradientTape() as tape, tape.stop_recording():
            ...     pass
        """
        return context.changed(tapes=tuple(t for t in context.state().tapes if t is not self))

    def watch(self, tensor: Any) -> None:
        """Make `gradient` possible with respect to tensors.

        Args:
            tensor: a tensor or variable, or a nested structure of them, read after this call.
        """
        for leaf in tree.flatten(tensor):
            if isinstance(leaf, Tensor):
                self._active.add(leaf.uid)
                self._kept.append(leaf)
            elif hasattr(leaf, "handle"):
                self._variables.setdefault(id(leaf), (leaf, []))
            else:
                raise GradientError(
                    f"Only tensors and variables can be watched, got {type(leaf).__qualname__}."
                )

    def watched_variables(self) -> tuple:
        """The variables that were read or watched, in order."""
        return tuple(v for v, _ in self._variables.values())

    def saw_variable(self, variable: Any, tensor: Tensor) -> None:
        """Called by a variable that is being read while this tape records."""
        known = self._variables.get(id(variable))
        if known is None:
            if not (self.watch_accessed_variables and variable.trainable):
                return
            known = self._variables[id(variable)] = (variable, [])
        if tensor.uid not in self._active:
            self._active.add(tensor.uid)
            known[1].append(tensor.uid)

    def record(self, prim, params, inputs, outputs) -> None:
        """Append an operation, if it depends on something watched and has a derivative (called by
        `bind`)."""
        active = self._active
        needs = [t.uid in active for t in inputs]
        if True not in needs or prim.vjp is None or self._entries is None:
            return
        self._entries.append(Entry(prim, params, inputs, outputs, needs))
        for t in outputs:
            active.add(t.uid)

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients: str = "none"):
        """The gradient of a target, summed where it has several elements, with respect to sources.

        Args:
            target: a tensor, or a nested structure of tensors whose gradients are added.
            sources: a tensor or variable, or a nested structure of them.
            output_gradients: what the target's elements are weighted with, default ones; of the
                target's form.
            unconnected_gradients: `"none"` or `"zero"`: what a source that the target does not
                depend on gets.

        Returns:
            A structure of the form of `sources`, of tensors or `None`.

        Raises:
            GradientError: where the tape was used up, or a source is of no kind that has gradients.
        """
        if self._entries is None:
            raise GradientError(
                "A GradientTape that is not persistent answers one `gradient` call only; "
                "use GradientTape(persistent=True) for several."
            )
        if unconnected_gradients not in ("none", "zero"):
            raise GradientError(
                f"`unconnected_gradients` must be 'none' or 'zero', got {unconnected_gradients!r}."
            )
        leaves = tree.flatten(sources)
        uids = [self._uids_of(leaf) for leaf in leaves]
        recording = self.persistent and self in context.state().tapes
        tapes = tuple(t for t in context.state().tapes if t is not self or recording)
        # Cotangents of what every rank knows are parts by nature: the rules for values do not hold.
        with context.changed(tapes=tapes, autocast=None, track_batch=False):
            seeds = self._seeds(target, output_gradients)
            found = self._walk(seeds, uids, {} if tapes else _places(leaves, uids))
            gradients = [_total([found[u] for u in us if u in found]) for us in uids]
            if unconnected_gradients == "zero":
                gradients = [
                    _zeros(leaf) if g is None else g
                    for g, leaf in zip(gradients, leaves, strict=True)
                ]
        for g, leaf in zip(gradients, leaves, strict=True):
            if g is not None and isinstance(leaf, Tensor):
                g.batch = leaf.batch
        if not self.persistent:
            self._entries, self._kept = None, []
        reduce = context.state().reduce_gradients
        if reduce is not None:
            gradients = _reduced(reduce, leaves, gradients)
        return tree.pack_sequence_as(sources, gradients)

    def _uids_of(self, leaf) -> list[int]:
        if isinstance(leaf, Tensor):
            return [leaf.uid]
        if hasattr(leaf, "handle"):
            return self._variables.get(id(leaf), (leaf, []))[1]
        raise GradientError(
            f"A gradient's source must be a tensor or a variable, got {type(leaf).__qualname__}."
        )

    def _seeds(self, target, output_gradients) -> dict[int, Tensor]:
        targets = tree.flatten(target)
        weights = (
            [None] * len(targets) if output_gradients is None else tree.flatten(output_gradients)
        )
        if len(weights) != len(targets):
            raise GradientError(
                f"{len(targets)} targets need as many `output_gradients`, got {len(weights)}."
            )
        seeds: dict[int, Tensor] = {}
        for t, weight in zip(targets, weights, strict=True):
            if hasattr(t, "handle"):
                t = t.value
            if not isinstance(t, Tensor):
                raise GradientError(
                    f"A gradient's target must be a tensor, got {type(t).__qualname__}."
                )
            # The ranks' losses add up to the global one. What is no part of a sum over rows each
            # rank has whole: each counts its share.
            known = t.batch in (None, JOINED, WHOLE, MIXED)
            share = 1 / context.state().ranks if known else 1
            if weight is None:
                seed = full_like(t, value=share)
            elif tuple(weight.shape) != t.shape:
                raise GradientError(
                    f"An output gradient of shape {weight.shape} was given for a target of "
                    f"{t.shape}."
                )
            else:
                seed = weight if share == 1 else scale(weight, a=share)
            seeds[t.uid] = add(seeds[t.uid], seed) if t.uid in seeds else seed
        return seeds

    def _walk(
        self, cotangents: dict[int, Tensor], uids: list[list[int]], places: dict[int, Any]
    ) -> dict[int, Tensor]:
        """Cotangents of the sources, by uid; entries of a tape that is not persistent are freed on
        the way.

        Where a source is used once and has a place, an operation that can computes its cotangent
        there.
        """
        sources = {u for us in uids for u in us}
        reached = set(sources)
        wanted = []
        for entry in self._entries or ():
            needs = [u in reached for u in entry.in_uids]
            if True in needs:
                reached.update(entry.out_uids)
                wanted.append((entry, needs))
        if places:
            uses = Counter(u for entry, _ in wanted for u in entry.in_uids)
            places = {u: a for u, a in places.items() if uses[u] == 1 and u not in cotangents}
        if not self.persistent:
            self._entries = []
        found = {u: g for u, g in cotangents.items() if u in sources}
        while wanted:
            entry, needs = wanted.pop()
            given = [cotangents.pop(u, None) for u in entry.out_uids]
            if all(g is None for g in given):
                continue
            if len(given) > 1:
                given = [
                    zeros(shape=s, dtype=d) if g is None else g
                    for g, (s, d) in zip(given, entry.out_specs, strict=True)
                ]
            if places and entry.prim.vjp_into is not None:
                for k, uid in enumerate(entry.in_uids):
                    if uid in places and entry.prim.vjp_into(entry, given[0], k, places[uid]):
                        found[uid] = Tensor(places[uid])
                        needs[k] = False
            entry.needs = needs
            answers = entry.prim.vjp(entry, *given)
            if not isinstance(answers, tuple):
                answers = (answers,)
            for uid, need, g in zip(entry.in_uids, needs, answers, strict=True):
                if not need or g is None:
                    continue
                g = add(cotangents[uid], g) if uid in cotangents else g
                cotangents[uid] = g
                if uid in sources:
                    found[uid] = g
        return found


def _places(leaves: list, uids: list[list[int]]) -> dict[int, Any]:
    """uid -> where a strategy wants the gradient of a variable that was read once."""
    wants = context.state().gradient_places
    if wants is None:
        return {}
    arrays = wants([leaf for leaf in leaves if hasattr(leaf, "handle")])
    return {
        us[0]: arrays[id(leaf)]
        for leaf, us in zip(leaves, uids, strict=True)
        if len(us) == 1 and id(leaf) in arrays
    }


def _total(parts: list):
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


def _zeros(leaf):
    return full_like(leaf.value if hasattr(leaf, "handle") else leaf, value=0)


def _reduced(reduce, leaves, gradients):
    """Gradients of variables made global by the strategy; those of tensors stay local."""
    places = [
        i for i, leaf in enumerate(leaves) if hasattr(leaf, "handle") and gradients[i] is not None
    ]
    if not places:
        return gradients
    gradients = list(gradients)
    for i, g in zip(
        places, reduce([leaves[i] for i in places], [gradients[i] for i in places]), strict=True
    ):
        gradients[i] = g
    return gradients


def pause():
    """A context within which no tape records.

    Example:
        >>> with pause():
        ...     pass
    """
    return context.changed(tapes=())
