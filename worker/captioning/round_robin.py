"""Owners take turns: one who brings a thousand things leaves room for one who brings four."""

import heapq
from collections import OrderedDict
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

NEW = 8
"""Things that an owner brings as a newcomer: all of a small job."""
NEWCOMERS_TURNS = 7
"""Of eight, while others wait too: a small job is done at nearly the pace that it has alone, and a
stream of small ones leaves an eighth to the big ones."""
OWNERS_REMEMBERED = 1024


class Newcomers:
    """Who has brought no more than `NEW` things yet, of the owners heard of lately."""

    def __init__(self) -> None:
        self._brought: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._brought)

    def count_in(self, owner: Hashable) -> bool:
        """Whether the thing that `owner` brings now is one of its first."""
        brought = self._brought[owner] = self._brought.get(owner, 0) + 1
        self._brought.move_to_end(owner)
        if len(self._brought) > OWNERS_REMEMBERED:
            self._brought.popitem(last=False)
        return brought <= NEW


class RoundRobin(Generic[ItemT]):
    """A queue: one item of each owner in turn, of an owner's own the one of least rank, and of
    these the one that came first. An owner's first `NEW` items wait in a round of their own.

    Not safe for threads by itself.
    """

    def __init__(self, newcomers: Newcomers | None = None) -> None:
        """`newcomers` is shared with queues that come and go; None: this one's own."""
        self._newcomers: _Round[ItemT] = _Round()
        self._others: _Round[ItemT] = _Round()
        self._known = Newcomers() if newcomers is None else newcomers
        self._arrivals = count()
        self._turn = 0

    def __len__(self) -> int:
        return self._newcomers.count + self._others.count

    def push(self, owner: Hashable, item: ItemT, rank: int = 0) -> None:
        line = self._newcomers if self._known.count_in(owner) else self._others
        line.push(owner, (rank, next(self._arrivals), item))

    def pop(self) -> ItemT:
        """Raises IndexError when there is nothing."""
        return self._next_round().pop()

    def pop_some(self, most: int) -> list[ItemT]:
        """Newcomers' or others', not both: a batch that is filled up takes the longer for it."""
        line = self._next_round()
        return [line.pop() for _ in range(min(most, line.count))]

    def _next_round(self) -> "_Round[ItemT]":
        if self._newcomers.count and self._others.count:
            self._turn = (self._turn + 1) % (NEWCOMERS_TURNS + 1)
            return self._newcomers if self._turn else self._others
        return self._newcomers if self._newcomers.count else self._others


class _Round(Generic[ItemT]):
    """An owner who comes anew is last in it."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, list[tuple[int, int, ItemT]]] = OrderedDict()
        self.count = 0

    def push(self, owner: Hashable, entry: tuple[int, int, ItemT]) -> None:
        heapq.heappush(self._lines.setdefault(owner, []), entry)
        self.count += 1

    def pop(self) -> ItemT:
        if not self._lines:
            raise IndexError("nothing waits")
        owner, line = self._lines.popitem(last=False)
        _, _, item = heapq.heappop(line)
        if line:
            self._lines[owner] = line
        self.count -= 1
        return item
