"""`distkeras checkpoints DIR`: the checkpoints below a directory, and whether they are whole."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distkeras.saving.checkpoints import Checkpoint

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """List and verify checkpoints.

    Args:
        argv: the command line behind `distkeras checkpoints`, default `sys.argv[1:]`.

    Returns:
        0; 1 where one is damaged, or there is none.

    Example:
        >>> main(["runs"])  # doctest: +SKIP
        0
    """
    parser = argparse.ArgumentParser(
        prog="distkeras checkpoints",
        description="The checkpoints of runs below a directory, the newest first. Every file is "
        "read, and its length and checksum compared with what was written.",
    )
    parser.add_argument(
        "directory", nargs="?", default="runs", help="a run directory or one above (default ./runs)"
    )
    parser.add_argument("--json", action="store_true", help="the same for programs")
    options = parser.parse_args(argv)

    from distkeras.saving.checkpoints import find, left_overs, problem

    found = [_row(each, problem(each)) for each in find(options.directory)]
    unfinished = [str(path) for path in left_overs(options.directory)]
    if options.json:
        print(json.dumps({"checkpoints": found, "unfinished": unfinished}, indent=1))
    elif not found and not unfinished:
        print(f"no checkpoints in {options.directory}", file=sys.stderr)
    else:
        _print(found, unfinished, options.directory)
    return int(not found or any(row["problem"] for row in found))


def _row(checkpoint: "Checkpoint", wrong: str | None) -> dict[str, Any]:
    return {
        "path": str(checkpoint.path),
        "written": checkpoint.written,
        "bytes": checkpoint.bytes,
        **checkpoint.about,
        "problem": wrong,
    }


def _print(found: list[dict[str, Any]], unfinished: list[str], directory: str) -> None:
    rows = [("checkpoint", "fit", "where", "ranks", "size", "written", "")]
    for row in found:
        where = "end" if row["finished"] else f"epoch {row['epoch'] + 1}, step {row['step']}"
        rows.append(
            (
                os.path.relpath(row["path"], directory) if Path(directory).is_dir() else "",
                str(row["fit"] + 1),
                where,
                str(row["ranks"]),
                _size(row["bytes"]),
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["written"])),
                f"damaged: {row['problem']}" if row["problem"] else "whole",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for line in rows:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    for path in unfinished:
        print(f"not finished, may be deleted when its run has ended: {path}")


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} GiB"
