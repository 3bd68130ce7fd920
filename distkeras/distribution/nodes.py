"""How the ranks lie on nodes, and the order in which their numbers are added.

Sums over ranks are made in two levels: over the ranks of each node in rank order, then over the
nodes in the order of their lowest ranks. Every way of summing keeps to that order, so the bits of a
sum depend neither on which way was taken nor on who computed it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from distkeras.distribution.world import World

__all__ = ["Nodes", "nodes_of"]


@dataclass(frozen=True)
class Nodes:
    """The nodes of a world.

    Attributes:
        groups: the ranks of each node, ascending.
        owners: how many ranks of each node own a slice: as many as the smallest node has.
        peers: a communicator of the ranks with this local number on all nodes, in the order of
            nodes; None on a single node and for ranks that own nothing.
    """

    groups: tuple[tuple[int, ...], ...]
    owners: int
    peers: Any = None

    @property
    def several(self) -> bool:
        """Whether there is more than one node."""
        return len(self.groups) > 1


_known: tuple[World, Nodes] | None = None


def nodes_of(world: World) -> Nodes:
    """The nodes of a world; the first call is collective.

    Example:
        >>> nodes_of(World()).groups
        ((0,),)
    """
    global _known
    if _known is None or _known[0] is not world:
        _known = (world, _look(world))
    return _known[1]


def _look(world: World) -> Nodes:
    if not world.is_multi:
        return Nodes(((0,),), 1)
    lowest = np.array([world.rank])
    world.node.Bcast(lowest)
    of_rank = np.empty(world.size, lowest.dtype)
    world.comm.Allgather(lowest, of_rank)
    members: dict[int, list[int]] = {}
    for rank, node in enumerate(of_rank.tolist()):
        members.setdefault(node, []).append(rank)
    groups = tuple(tuple(members[node]) for node in sorted(members))
    owners = min(map(len, groups))
    peers = None
    if len(groups) > 1:
        owns = world.local_rank < owners
        color = world.local_rank if owns else world.mpi.UNDEFINED
        peers = world.comm.Split(color, groups.index(tuple(members[int(lowest[0])])))
        peers = peers if owns else None
    return Nodes(groups, owners, peers)
