"""Owners take turns: one who brings a thousand things leaves room for one who brings four."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class RoundRobin(Generic[ItemT]):
    """A queue: one item of each owner in turn, an owner's own in the order they came.

    An owner who comes anew is last in the round. Not safe for threads by itself.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, deque[ItemT]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, owner: Hashable, item: ItemT) -> None:
        self._lines.setdefault(owner, deque()).append(item)
        self._count += 1

    def pop(self) -> ItemT:
        """Raises IndexError when there is nothing."""
        if not self._lines:
            raise IndexError("nothing waits")
        owner, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[owner] = line
        self._count -= 1
        return item
