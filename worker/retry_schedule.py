"""When a webhook that failed is tried again."""

import random

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS = (
    *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR),
    *(5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds after each failure; after one more the delivery is dead."""
JITTER = 0.2
"""Part of a delay by which it may be shorter or longer, so that retries do not come in waves."""

_LONGEST_WISH = 24 * _HOUR


def next_delay(failures: int, retry_after: float | None) -> float | None:
    """Seconds until the next attempt after `failures` that went before the one that failed now.

    A receiver may ask for more time than the schedule gives, up to a day; None where no attempt is
    left.
    """
    if failures >= len(DELAYS):
        return None
    delay = DELAYS[failures] * random.uniform(1 - JITTER, 1 + JITTER)
    return max(delay, min(retry_after or 0.0, _LONGEST_WISH))
