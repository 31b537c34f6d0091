"""How every command ends."""

from enum import IntEnum

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gridscribe.client import (
    ApiError,
    ClientError,
    JobTimeoutError,
    ServerUnreachableError,
    UnusableArgumentError,
)
from gridscribe.image_files import InputError
from gridscribe.supervisor import StackError
from shared.errors import ErrorCode, GridscribeError


class ExitCode(IntEnum):
    """Scripts rely on them; `gridscribe --help` lists them."""

    OK = 0
    FAILED = 1
    """A job, or part of what was asked, failed; or files could not be read or written."""
    USAGE = 2
    """The options or the input cannot be used; nothing was done."""
    UNREACHABLE = 3
    """No service answers."""
    REFUSED = 4
    """The service refused the request."""
    TIMEOUT = 5
    """Waiting took longer than --timeout; the job goes on."""
    INTERRUPTED = 130
    """Ctrl+C; a job that was accepted goes on."""


EXPECTED_ERRORS = (
    ClientError,
    GridscribeError,
    InputError,
    OSError,
    RedisError,
    StackError,
)
"""Errors whose message tells the user all there is to know."""


def exit_code(error: BaseException) -> ExitCode:
    match error:
        case InputError() | UnusableArgumentError():
            return ExitCode.USAGE
        case GridscribeError(code=ErrorCode.NO_READABLE_IMAGE | ErrorCode.COMPOSE_FAILED):
            return ExitCode.FAILED
        case GridscribeError():
            return ExitCode.USAGE
        case ServerUnreachableError() | RedisConnectionError() | RedisTimeoutError():
            return ExitCode.UNREACHABLE
        case ApiError():
            return ExitCode.REFUSED
        case JobTimeoutError():
            return ExitCode.TIMEOUT
        case _:
            return ExitCode.FAILED


def hint(error: BaseException) -> str | None:
    """What to do about `error`, where its own message does not say."""
    match error:
        case ServerUnreachableError():
            return (
                "is it running? `gridscribe dev` starts one here; --server or GRIDSCRIBE_SERVER"
                " names another; `gridscribe doctor` looks what is wrong"
            )
        case ApiError(code=ErrorCode.UNAUTHENTICATED):
            return "put a key into GRIDSCRIBE_API_KEY; `gridscribe keys create` makes one"
        case _:
            return None
