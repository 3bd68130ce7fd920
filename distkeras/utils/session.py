"""Starting afresh within a process."""

import gc

from distkeras.utils.naming import reset_uids

__all__ = ["clear_session"]


def clear_session(free_memory: bool = True) -> None:
    """Start the numbering of names again, so that the next unnamed `Dense` is `dense`.

    Models and layers that exist keep their names and go on working.

    Args:
        free_memory: whether to collect what is no longer referred to at once.

    Example:
        >>> import distkeras as keras
        >>> keras.utils.clear_session()
        >>> keras.layers.Dense(1).name
        'dense'
    """
    reset_uids()
    if free_memory:
        gc.collect()
