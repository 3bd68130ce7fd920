"""Reading the reference files."""

from __future__ import annotations

import functools
import json
import pathlib

import numpy as np

DATA = pathlib.Path(__file__).resolve().parent / "data"


@functools.cache
def read_json(name: str) -> dict:
    """Return the object in a JSON file of `data/`."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


@functools.cache
def read_npz(name: str) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz file of `data/`."""
    with np.load(DATA / name) as archive:
        return {key: archive[key] for key in archive.files}


@functools.cache
def read_packed(name: str) -> dict[str, np.ndarray]:
    """Return the arrays that were joined in one (`names`, `shapes` or `sizes`, `values`)."""
    raw = read_npz(name)
    shapes = [
        tuple(int(d) for d in text.split(",") if d) for text in raw.get("shapes", raw["names"][:0])
    ]
    sizes = raw["sizes"] if "sizes" in raw else [int(np.prod(s)) for s in shapes]
    ends = np.cumsum(sizes)
    pieces = {
        str(key): raw["values"][end - size : end]
        for key, size, end in zip(raw["names"], sizes, ends, strict=True)
    }
    if "sizes" in raw:
        return pieces
    return {k: v.reshape(s) for (k, v), s in zip(pieces.items(), shapes, strict=True)}


def numbered(arrays: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Return `prefix/0`, `prefix/1` and so on."""
    return [arrays[f"{prefix}/{i}"] for i in range(sum(k.startswith(prefix + "/") for k in arrays))]


def relative_error(found, expected) -> float:
    """Return the distance of two arrays by norm, relative to the expected one."""
    found, expected = (np.asarray(a, "float64").ravel() for a in (found, expected))
    return float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-12))


def rounded(config):
    """Return a configuration as JSON knows it, with numbers to the digits of float32."""
    return json.loads(json.dumps(strip(config)), parse_float=lambda t: float(f"{float(t):.6g}"))


def strip(config):
    """Return a configuration without what differs from run to run (identities, backends)."""
    if isinstance(config, dict):
        return {k: strip(v) for k, v in config.items() if k != "shared_object_id"}
    if isinstance(config, (list, tuple)):
        return [strip(v) for v in config]
    return config
