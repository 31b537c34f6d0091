"""Where senders send events. No API key: the source's own secret opens it."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from api.access import REFUSALS
from api.byte_streams import read_whole
from api.dependencies import Body, FromServices
from api.inbound.message import Message
from api.problems import documented
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.inbound_sources import Receipt

router = APIRouter(prefix="/v1/inbound", tags=["inbound"])

_ALLOWED = {"Allow": "POST, HEAD, OPTIONS"}
_json: dict[str, Any] = {"type": "object"}
_event = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": _json} for kind in ("application/json", "application/cloudevents+json")
        },
    }
}
_answers = documented(
    *REFUSALS,
    Code.INVALID_REQUEST,
    Code.REQUEST_TOO_LARGE,
    Code.REQUEST_TOO_SLOW,
    Code.SOURCE_NOT_FOUND,
    Code.QUOTA_EXCEEDED,
)
LinkSecret = Annotated[
    str | None, Query(alias="secret", description="For senders that sign nothing")
]


@router.head("/{source_id}", responses=documented(*REFUSALS, Code.SOURCE_NOT_FOUND))
async def probe_source(source_id: str, services: FromServices) -> Response:
    """Whether there is such a source, as MinIO asks before it sends anything."""
    await services.reception.find(source_id)
    return Response(headers=_ALLOWED)


@router.options("/{source_id}", responses=documented(*REFUSALS, Code.SOURCE_NOT_FOUND))
async def shake_hands(
    source_id: str,
    services: FromServices,
    origin: Annotated[
        str | None, Header(alias="WebHook-Request-Origin", description="Who wants to send")
    ] = None,
) -> Response:
    """The handshake of CloudEvents' webhooks (HTTP 1.1 Web Hooks 1.0, section 4)."""
    await services.reception.find(source_id)
    if origin is None:
        return Response(headers=_ALLOWED)
    # Whoever knows the address may ask; what opens it is the secret. The callback is never called.
    rate = str(services.settings.requests_per_minute)
    return Response(
        headers={**_ALLOWED, "WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": rate}
    )


@router.post(
    "/{source_id}",
    status_code=202,
    responses={202: {"description": "Kept, and worked on later"}, **_answers},
    openapi_extra=_event,
)
async def receive_event(
    source_id: str,
    request: Request,
    services: FromServices,
    body: Body,
    secret: LinkSecret = None,
) -> Receipt:
    """Take an event of a source. One that came before is answered the same and ignored."""
    source = await services.reception.find(source_id)
    limit = services.settings.max_inbound_bytes
    too_large = GridscribeError(Code.REQUEST_TOO_LARGE, f"an event may have {limit:,} bytes")
    data = await read_whole(body, limit, too_large)
    headers = dict(request.headers.items())
    return await services.reception.receive(source, Message(headers, data, secret))


@router.post(
    "/{source_id}/{secret}",
    status_code=202,
    responses={202: {"description": "Kept, and worked on later"}, **_answers},
    openapi_extra=_event,
)
async def receive_event_by_link(
    source_id: str, secret: str, request: Request, services: FromServices, body: Body
) -> Receipt:
    """The same, for senders that can only be given an address."""
    return await receive_event(source_id, request, services, body, secret)
