"""Start a program on the ranks of an MPI job: `python -m distkeras.launch [options] [program]`."""

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the launcher: start `-n N` ranks, or be one rank and run the program.

    Args:
        argv: the command line without the program's name, default `sys.argv[1:]`.

    Returns:
        The exit status.

    Example:
        >>> main(["--version"])  # doctest: +SKIP
    """
    from distkeras.launch.options import parse

    options = parse(argv)
    if options.restarts:
        from distkeras.launch.supervisor import supervise

        return supervise(options)
    if options.ranks is not None and options.ranks > 1:
        from distkeras.launch.spawn import start_ranks

        return start_ranks(options)
    from distkeras.launch.job import run_rank

    return run_rank(options)
