"""Which samples a step takes: a pure function of (seed, epoch, samples consumed), the same on any
number of ranks."""

from collections.abc import Iterator

import numpy as np

__all__ = ["GlobalSampler", "share"]


def share(n: int, rank: int, size: int) -> tuple[int, int]:
    """The rows of a global batch that a rank computes, as (start, stop).

    Shares differ by one row at most.

    Args:
        n: rows of the global batch.
        rank, size: this rank and the number of ranks.

    Example:
        >>> [share(5, r, 3) for r in range(3)]
        [(0, 1), (1, 3), (3, 5)]
    """
    return rank * n // size, (rank + 1) * n // size


class GlobalSampler:
    """The order of samples in each epoch.

    Args:
        samples: the number of samples.
        batch_size: rows of a global batch.
        shuffle: whether each epoch has an order of its own.
        seed: decides all orders.

    Example:
        >>> [b.tolist() for b in GlobalSampler(3, 2, shuffle=False).epoch(0)]
        [[0, 1], [2]]
    """

    def __init__(self, samples: int, batch_size: int, shuffle: bool = True, seed: int = 0):
        self.samples = samples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-self.samples // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The samples in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.samples)
        # A counter-based generator keyed by both numbers: any epoch's order is found without the
        # ones before.
        return np.random.Generator(np.random.Philox(key=[self.seed % 2**64, epoch])).permutation(
            self.samples
        )

    def epoch(self, epoch: int, consumed: int = 0) -> Iterator[np.ndarray]:
        """The global batches of an epoch as arrays of sample numbers.

        Args:
            epoch: the epoch's number.
            consumed: how many samples of it were taken before.
        """
        order = self.order(epoch)
        for start in range(consumed, self.samples, self.batch_size):
            yield order[start : start + self.batch_size]
