"""Clean-up that ends, whatever becomes of the task that began it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def to_the_end(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run `function` in a thread; raises what it raises.

    A caller who leaves does not interrupt the wait for it. A process that stops cancels its tasks
    twice and waits for none, but it waits for the loop's own threads.
    """
    # A future is no task, which would be cancelled with the others.
    call = partial(function, *args, **kwargs)
    result = asyncio.get_running_loop().run_in_executor(None, call)
    with anyio.CancelScope(shield=True):
        await asyncio.shield(result)
    return result.result()
