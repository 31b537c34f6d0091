"""From exceptions to problems: ours, the framework's, the store's and the storage's."""

import logging
import re
from http import HTTPMethod, HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from obstore.exceptions import BaseError as StorageError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from api.problems import problem_response
from api.request_context import request_id
from api.validation import invalid
from shared.errors import ErrorCode, GridscribeError
from shared.object_storage import is_out_of_space
from shared.problems import STATUSES, problem

RETRY_AFTER = 2
"""Seconds after which an outage may be over."""

_log = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    app.exception_handler(GridscribeError)(_on_domain_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(ClientDisconnect)(_on_disconnect)
    for unavailable in (RedisError, StorageError, OSError):
        app.exception_handler(unavailable)(_on_outage)


def _answer(request: Request, error: GridscribeError) -> Response:
    request.state.refusal = error.code.value
    body = problem(
        error.code,
        STATUSES[error.code],
        error.detail,
        errors=error.errors,
        instance=request.scope["path"],
        request_id=request_id(request),
    )
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.code is ErrorCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="gridscribe"'
    if error.code is ErrorCode.REQUEST_TOO_SLOW:
        headers["Connection"] = "close"  # the rest of the body is not waited for
    return problem_response(body, headers)


async def _on_domain_error(request: Request, error: GridscribeError) -> Response:
    return _answer(request, error)


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """Parameters; a place like `("query", "page")` is called `page`."""
    details = [detail | {"loc": detail["loc"][1:]} for detail in error.errors()]
    return _answer(request, invalid(details))


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    """The framework's own: unknown address, wrong method, wrong content type."""
    phrase, path = HTTPStatus(error.status_code).phrase, request.scope["path"]
    is_bare = error.detail == phrase
    body = problem(
        re.sub(r"\W+", "_", phrase.lower()),
        error.status_code,
        f"{phrase}: {request.method} {path}" if is_bare else error.detail,
        instance=path,
        request_id=request_id(request),
    )
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return problem_response(body, headers)


def _allowed(request: Request) -> str:
    """All methods of the address (RFC 9110, 10.2.1); the framework names those of one route."""
    return ", ".join(
        method
        for method in HTTPMethod
        for scope in [{**request.scope, "method": method.value}]
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    )


async def _on_disconnect(_request: Request, _: ClientDisconnect) -> Response:
    _log.info("the caller left before the end of the request")
    return Response(status_code=400)  # nobody is there to read it


async def _on_outage(request: Request, error: Exception) -> Response:
    # These say all by their message; a traceback for each request would hide it.
    is_full = is_out_of_space(error)
    trace = None if is_full or isinstance(error, RedisError) else error
    _log.error("store or storage failed: %s", error, exc_info=trace)
    if is_full:
        full = "the service's storage is full; try again later"
        return _answer(
            request, GridscribeError(ErrorCode.STORAGE_FULL, full, retry_after=30 * RETRY_AFTER)
        )
    return _answer(
        request,
        GridscribeError(
            ErrorCode.SERVICE_UNAVAILABLE,
            "the service cannot reach its store or its storage; try again shortly",
            retry_after=RETRY_AFTER,
        ),
    )
