"""Removing what a request has stored, once it is refused."""

import asyncio
import logging
from collections.abc import Callable

import anyio
from obstore.exceptions import BaseError as StorageError

_log = logging.getLogger(__name__)


async def discard(remove: Callable[[str], object], name: str) -> None:
    """Call `remove` with `name`, a key or a prefix of storage, whatever becomes of this task.

    A caller who leaves does not interrupt the wait for it. A process that stops cancels its tasks
    twice and waits for none, but it waits for the loop's own threads.

    A failure is logged alone: the caller must hear of the error that led here. What stays is swept.
    """
    # A future is no task, which would be cancelled with the others.
    removing = asyncio.get_running_loop().run_in_executor(None, remove, name)
    try:
        with anyio.CancelScope(shield=True):
            await asyncio.shield(removing)
    except (OSError, StorageError):
        _log.exception("files of a refused request could not be deleted: %s", name)
