"""Plan the reduction tree of GreeDi where one reducer cannot hold all candidates: groups of at most fan-in inputs.

Letters: n ground set, k to choose, m partitions, c candidates per pick that is sought, F fan-in, L levels above the
partitions (L = 1: the plain two rounds).

A node of level l stands for a share of the partitions. It chooses from what the nodes below it hand over, against that
share of t, and hands over about c^(1 - l / L) k times its share: from c k candidates at level 0 down to the answer, k
items against all of t, at level L, each level by the same factor. So the last node, the largest, holds c^(1 / L) k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One choice of GreeDi.

    Attributes
    ----------
    level, number : int
        Level 0 are the partitions.
    first, members : int
        The partitions ``first ... first + members - 1`` that it stands for.
    children : tuple of int
        Numbers of the nodes of the level below; empty at level 0.
    available, n_candidates : int
        How many items it chooses from, and how many it hands over.
    """

    level: int
    number: int
    first: int
    members: int
    children: tuple[int, ...]
    available: int
    n_candidates: int


@dataclass(frozen=True)
class Tree:
    """All nodes, level by level; the last level has one."""

    levels: tuple[tuple[Node, ...], ...]

    @property
    def rounds(self) -> int:
        """How many times some items are chosen from others, one after the other."""
        return len(self.levels)

    @property
    def root(self) -> Node:
        """The node that decides."""
        return self.levels[-1][0]

    @property
    def most_reduced(self) -> int:
        """The most items that a node above the partitions chooses from; 0 where there is none."""
        return max((node.available for level in self.levels[1:] for node in level), default=0)


def grow_tree(sizes: Sequence[int], *, k: int, c: float, fan_in: int) -> Tree:
    """Return the tree over partitions of these sizes.

    Parameters
    ----------
    sizes : sequence of int
        Items of each of m partitions; they sum to at least k.
    k : int
    c : float
        At least 1.
    fan_in : int
        Nodes that one node reduces, at least 2; m or more makes two rounds.
    """
    assert sum(sizes) >= k
    assert fan_in >= 2
    m, count, height = len(sizes), len(sizes), 0
    while count > 1:
        count, height = -(-count // fan_in), height + 1
    if height == 0:
        return Tree(((Node(0, 0, 0, 1, (), sizes[0], k),),))
    spans: list[tuple[int, int, tuple[int, ...], int]] = [(i, 1, (), size) for i, size in enumerate(sizes)]
    levels: list[tuple[Node, ...]] = []
    for level in range(height + 1):
        share = candidates_per_partition(
            [members for _, members, _, _ in spans],
            [size for _, _, _, size in spans],
            k=k,
            candidates=k if level == height else c ** (1 - level / height) * k,
            m=m,
        )
        nodes = tuple(
            Node(level, i, first, members, children, size, min(share * members, size, k if level == height else size))
            for i, (first, members, children, size) in enumerate(spans)
        )
        levels.append(nodes)
        spans = [
            (
                nodes[start].first,
                sum(node.members for node in nodes[start : start + fan_in]),
                tuple(node.number for node in nodes[start : start + fan_in]),
                sum(node.n_candidates for node in nodes[start : start + fan_in]),
            )
            for start in range(0, len(nodes), fan_in)
        ]
    return Tree(tuple(levels))


def two_rounds(sizes: Sequence[int], n_candidates: Sequence[int], *, k: int) -> Tree:
    """Return the tree of partitions that hand over given numbers of items, and one reducer above all of them."""
    m = len(sizes)
    leaves = tuple(
        Node(0, i, i, 1, (), size, n_candidates)
        for i, (size, n_candidates) in enumerate(zip(sizes, n_candidates, strict=True))
    )
    return Tree((leaves, (Node(1, 0, 0, m, tuple(range(m)), sum(n_candidates), k),)))


def candidates_per_partition(
    members: Sequence[int], available: Sequence[int], *, k: int, candidates: float, m: int
) -> int:
    """Return how many items a node hands over for each partition that it stands for: ceil(candidates / m).

    Where k is close to n small partitions have too few; then the least number at which the level hands over k.
    """

    def handed(share: int) -> int:
        return sum(min(share * count, size) for count, size in zip(members, available, strict=True))

    low = math.ceil(candidates / m)
    if handed(low) >= k:
        return low
    high = max(available)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if handed(middle) >= k else (middle, high)
    return high
