"""How many cores this process may use."""

import os


def available_cores() -> int:
    """Those it is allowed to run on, where the system tells; a container's share is not known."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
