"""The end of a step: what ranks were asked for in the meantime, they do together here."""

from typing import Any

from distkeras.distribution import ends, requests
from distkeras.strategies import Strategy
from distkeras.training.run_state import checkpoint_now

__all__ = ["end_of_step"]


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
    asked = requests.pending()
    bits = strategy.union(asked | requests.STOP_TRAINING if stop else asked)
    return bool(bits) and _act(model, strategy, bits)


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
        checkpoint_now(model)
    return bool(bits & requests.STOP_TRAINING)
