"""An activation."""

from distkeras import ops


def snake(x):
    """`x + sin(x)**2`: grows like the identity and repeats, for signals with periods.

    Source: Liu Ziyin et al., "Neural Networks Fail to Learn Periodic Functions and How to Fix It",
    2020 (arXiv:2006.08195), with a = 1.

    Args:
        x: a tensor.

    Returns:
        A tensor of the same shape.
    """
    return x + ops.square(ops.sin(x))
