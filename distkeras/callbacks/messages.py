"""What callbacks tell the user: one rank speaks for all."""

from distkeras.distribution.world import world

__all__ = ["say"]


def say(text: str) -> None:
    """Print a line from rank 0, or from the only rank on which a callback runs.

    Args:
        text: the line.

    Example:
        >>> say("Epoch 3: early stopping")
        Epoch 3: early stopping
    """
    if world().rank == 0:
        print(text, flush=True)
