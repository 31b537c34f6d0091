"""What all calls share: tries, pauses between them, and how an answer is understood."""

import random
from collections.abc import Iterator
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from gridscribe.client.answers import is_passing, problem_of, retry_after
from gridscribe.client.errors import ApiError, ServerUnreachableError
from gridscribe.client.flow import AnswerT, Flow, Open, Pause, Request, Send, Sink, Stream

_FIRST_RETRY = 0.25
_LONGEST_RETRY_AFTER = 60.0
_MAY_BE_DONE = (httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT)


class Wire:
    """Requests that may pass on a second try, because no connection came about or the answer was
    429, 502, 503 or 504, are repeated up to `retries` times.
    """

    def __init__(self, base_url: str, retries: int) -> None:
        self.base_url = base_url
        self.retries = retries

    def ask(self, request: Request[AnswerT]) -> Flow[AnswerT]:
        """The parsed answer. Raises `ApiError` or `ServerUnreachableError`, as all here."""
        response = yield from self.exchange(request)
        assert request.answer is not None  # noqa: S101  # this method is for those that have one
        return parsed(request.answer, response)

    def exchange(self, request: Request[Any], sink: Sink | None = None) -> Flow[httpx.Response]:
        """An answer that is a success, 304, or a refusal because the work is done already."""
        response: httpx.Response = yield from self._tried(Send(request, sink))
        return response

    def open(self, request: Request[Any]) -> Flow[Stream]:
        """The same for an answer that is read line by line; the caller reads the lines."""
        stream: Stream = yield from self._tried(Open(request))
        return stream

    def once(self, request: Request[Any]) -> Flow[httpx.Response]:
        """Whatever is answered to a single try."""
        outcome: httpx.Response | httpx.RequestError = yield Send(request)
        if isinstance(outcome, httpx.RequestError):
            raise self._unreachable(outcome) from outcome
        return outcome

    def pauses(self) -> Iterator[float]:
        """Seconds before each further try; spread, so that clients do not come back in step."""
        for attempt in range(self.retries):
            yield _FIRST_RETRY * 2**attempt * random.uniform(0.5, 1.0)

    def _tried(self, step: Send | Open) -> Flow[Any]:
        may_be_done = False
        for pause in [*self.pauses(), None]:
            if isinstance(step, Send) and step.sink:
                step.sink.seek(0)
                step.sink.truncate(0)
            outcome: httpx.Response | Stream | httpx.RequestError = yield step
            if isinstance(outcome, httpx.RequestError):
                if pause is None:
                    raise self._unreachable(outcome) from outcome
                may_be_done = True
                yield Pause(pause)
                continue
            response = outcome.response if isinstance(outcome, Stream) else outcome
            if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                return outcome
            problem, asked = problem_of(response), retry_after(response)
            if may_be_done and problem.code in step.request.done_codes:
                return outcome
            too_long = (asked or 0) > _LONGEST_RETRY_AFTER
            if pause is None or too_long or not is_passing(problem):
                raise ApiError(problem, asked)
            may_be_done |= response.status_code in _MAY_BE_DONE
            yield Pause(max(pause, asked or 0))
        raise AssertionError("the last try returns or raises")

    def _unreachable(self, error: httpx.RequestError) -> ServerUnreachableError:
        reason = str(error) or type(error).__name__
        return ServerUnreachableError(f"no Gridscribe service answers at {self.base_url}: {reason}")


def parsed(model: type[AnswerT], response: httpx.Response) -> AnswerT:
    try:
        # A newer server may tell more than this client knows.
        return model.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        raise not_understood(response, model, error) from error


def not_understood(
    response: httpx.Response, model: type[BaseModel], error: ValidationError
) -> ServerUnreachableError:
    return ServerUnreachableError(
        f"{response.url} gave no {model.__name__}: this is no Gridscribe service, or its"
        f" version does not fit this client's ({error.error_count()} errors)"
    )
