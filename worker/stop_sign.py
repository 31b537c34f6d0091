"""Tells all that a worker does, in its forked children too, to give its units back."""

import mmap
import threading


class StopSign:
    """One byte of memory that processes forked later share; there is no lock that one of them could
    take into its death."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 1)

    def is_up(self) -> bool:
        return self._page[0] != 0

    def put_up(self) -> None:
        self._page[0] = 1

    def put_up_in(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.put_up)
        timer.daemon = True
        timer.start()


stop_sign = StopSign()
"""This worker's."""
