import threading
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.captioning.round_robin import NEW, OWNERS_REMEMBERED, Newcomers, RoundRobin
from worker.captioning.turns import Turns


def test_owners_take_turns_however_much_one_of_them_brings() -> None:
    queue: RoundRobin[str] = RoundRobin()
    for owner, count in (("big", 500), ("less", 20)):
        for n in range(count):
            queue.push(owner, f"{owner} {n}")

    served = [queue.pop() for _ in range(520)]

    assert served[:4] == ["big 0", "less 0", "big 1", "less 1"]
    assert {each for each in served[:50] if each.startswith("less")} == {
        f"less {n}" for n in range(20)
    }


def test_a_newcomer_goes_first_but_leaves_a_turn_in_eight_to_those_who_were_there() -> None:
    queue: RoundRobin[str] = RoundRobin()
    for n in range(100):
        queue.push("big", f"big {n}")
    for _ in range(50):
        queue.pop()
    for owner in range(20):
        for _ in range(4):
            queue.push(owner, "small")

    served = [queue.pop() for _ in range(80)]

    assert served[:4] == ["small"] * 4
    assert sum(each != "small" for each in served) == 10


def test_newcomers_are_not_kept_up_by_a_batch_that_is_filled_up_with_others() -> None:
    queue: RoundRobin[str] = RoundRobin()
    for _ in range(NEW):
        queue.push("big", "new")
        queue.pop()
    for _ in range(3):
        queue.push("big", "big")
    queue.push("small", "small")

    assert [queue.pop_some(4), queue.pop_some(2), queue.pop_some(2)] == [
        ["small"],
        ["big", "big"],
        ["big"],
    ]
    assert queue.pop_some(2) == []


def test_those_who_were_there_long_ago_are_forgotten() -> None:
    newcomers = Newcomers()
    queue: RoundRobin[int] = RoundRobin(newcomers)
    for owner in range(3 * OWNERS_REMEMBERED):
        queue.push(owner, owner)
        queue.pop()

    assert len(newcomers) == OWNERS_REMEMBERED


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans())))
def test_nothing_is_lost_and_an_owners_first_stay_in_order(steps: list[tuple[int, bool]]) -> None:
    queue: RoundRobin[tuple[int, int]] = RoundRobin()
    served: list[tuple[int, int]] = []
    for number, (owner, leaves) in enumerate(steps):
        queue.push(owner, (owner, number))
        if leaves:
            served.append(queue.pop())
    while queue:
        served.append(queue.pop())

    pushed = [(owner, number) for number, (owner, _) in enumerate(steps)]
    assert sorted(served) == sorted(pushed)
    for owner in range(5):
        own = [each for each in pushed if each[0] == owner]
        for part in (own[:NEW], own[NEW:]):
            assert [each for each in served if each in part] == part
    with pytest.raises(IndexError):
        queue.pop()


class Line:
    """Threads that want a place of `turns`, in the order in which they got one."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.served: list[Hashable] = []
        self._threads: list[threading.Thread] = []

    def join(self, owner: Hashable) -> None:
        def work() -> None:
            with self.turns.taken(owner):
                self.served.append(owner)

        waiting = len(self.turns._waiting)
        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()
        while len(self.turns._waiting) == waiting:  # until it stands in line
            threading.Event().wait(0.001)

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(10)


def test_a_small_job_waits_for_one_picture_of_a_big_one_at_a_time() -> None:
    turns = Turns(places=1)
    line = Line(turns)
    with turns.taken("big"):
        for _ in range(8):
            line.join("big")
        line.join("small")
        line.join("small")
    line.finish()

    assert line.served == ["big", "small", "big", "small", *["big"] * 6]


def test_the_thread_of_an_owner_that_began_first_is_served_first() -> None:
    turns = Turns(places=1)
    served: list[int] = []

    def work(rank: int) -> None:
        with turns.taken("job", rank):
            served.append(rank)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (3, 1, 2)]
    with turns.taken("other"):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(turns._waiting) < number:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join(10)

    assert served == [1, 2, 3]


def test_no_more_threads_work_than_there_are_places_and_failures_give_theirs_back() -> None:
    turns, lock, at_work, most = Turns(places=3), threading.Lock(), 0, 0

    def work(number: int) -> None:
        nonlocal at_work, most
        for _ in range(50):
            try:
                with turns.taken(number % 4):
                    with lock:
                        at_work += 1
                        most = max(most, at_work)
                    with lock:
                        at_work -= 1
                    if number % 2:
                        raise ValueError
            except ValueError:
                pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert 1 <= most <= 3
    with turns.taken("a"), turns.taken("b"), turns.taken("c"):
        pass


def test_a_place_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one place"):
        Turns(places=0)
