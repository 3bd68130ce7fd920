"""Where ranks meet: what they were asked for in a step they do at its end, and at the end of an
epoch they compare their parameters."""

from collections.abc import Sequence
from typing import Any

from distkeras.config import environment
from distkeras.distribution import ends, requests
from distkeras.distribution.world import is_alone
from distkeras.engine.fingerprint import fingerprint
from distkeras.errors import ParameterMismatchError
from distkeras.strategies import Strategy
from distkeras.training.run_state import checkpoint_now, checkpoint_soon

__all__ = ["compare_parameters", "end_of_step"]


def end_of_step(model: Any, strategy: Strategy, stop: bool) -> bool:
    """Agree with the other ranks on what follows a step, and do it; one message, or none in a
    single process.

    Args:
        model: the model whose step has ended.
        strategy: how steps are spread over ranks.
        stop: whether this rank wants its loop to end (`stop_training` and its kin).

    Returns:
        Whether the loop ends: on all ranks, where one wants it.

    Raises:
        KeyboardInterrupt: a rank was interrupted (SIGINT).
        AgreedExit: a rank was told to end (SIGTERM, SIGUSR1), after a checkpoint.
    """
    if is_alone():  # what the whole job is asked for waits for all ranks
        return stop
    asked = requests.pending()
    bits = strategy.union(asked | requests.STOP_TRAINING if stop else asked)
    return bool(bits) and _act(model, strategy, bits)


def compare_parameters(variables: Sequence, strategy: Strategy) -> None:
    """Make sure that all ranks hold the same parameters, bit for bit; collective.

    What the ranks do together leaves them equal. A value that a program assigned on one rank only
    (in a callback with `runs_on`, in `on_rank`) would go on being trained apart without a word.

    Args:
        variables: the trainable variables. Other state may be a rank's own.
        strategy: how steps are spread over ranks.

    Raises:
        ParameterMismatchError: the ranks differ; it names the first variable that does.
    """
    if strategy.size == 1 or environment("DISTKERAS_COMPARE_PARAMETERS") == "0":
        return
    prints = [fingerprint(v) for v in variables]
    differ = strategy.differing(prints)
    if not differ:
        return
    first = variables[differ[0]]
    groups: dict[int, list[str]] = {}
    for rank, value in enumerate(strategy.of_all_ranks(prints[differ[0]])):
        groups.setdefault(value, []).append(str(rank))
    who = "; ".join(f"rank{'s' * (len(ranks) > 1)} {', '.join(ranks)}" for ranks in groups.values())
    raise ParameterMismatchError(
        f"The ranks hold different values of {len(differ)} of {len(variables)} trainable "
        f"variables. The first is {first.path!r}, of shape {tuple(first.shape)}; equal are among "
        f"themselves: {who}.\n"
        "Usual causes: a value assigned on one rank only (in a callback with `runs_on`, in "
        "`on_rank` or behind `if rank() == 0`), an update outside of `fit`, or values drawn from a "
        "generator without a seed. Assign on all ranks, or give rank 0's value to all with "
        "distribution.broadcast. Where ranks are meant to differ set "
        "DISTKERAS_COMPARE_PARAMETERS=0."
    )


def _act(model: Any, strategy: Strategy, bits: int) -> bool:
    if bits & (requests.TERMINATE | requests.PREEMPT):
        requests.done(bits)
        number = requests.exit_signal(bits)
        place = checkpoint_now(model)
        if strategy.rank == 0:
            saved = f"saved {place}" if place else "no checkpoint, since the run records none"
            ends.tell(f"{number.name}: {saved}; the job ends with status {128 + number}")
        raise requests.AgreedExit(128 + number)
    if bits & requests.INTERRUPT:
        requests.done(requests.INTERRUPT)
        raise KeyboardInterrupt
    if bits & requests.CHECKPOINT:
        requests.done(requests.CHECKPOINT)
        checkpoint_soon(model)
    return bool(bits & requests.STOP_TRAINING)
