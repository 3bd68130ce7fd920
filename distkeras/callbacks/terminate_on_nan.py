"""`TerminateOnNaN`: ends a training whose loss is no number any more."""

import numpy as np

from distkeras.callbacks.callback import Callback
from distkeras.callbacks.messages import say

__all__ = ["TerminateOnNaN"]


class TerminateOnNaN(Callback):
    """Stops training after the first step whose loss is NaN or infinite.

    On several ranks a rank sees the loss of its own rows; all ranks stop after the same step.

    Args:
        raise_error: whether to raise instead of stopping.

    Raises:
        RuntimeError: at such a step, where `raise_error` is set.

    Example:
        >>> TerminateOnNaN(raise_error=True).raise_error
        True
    """

    _reads_batch_logs = False

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or np.all(np.isfinite(loss)):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating "
                "training immediately."
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
