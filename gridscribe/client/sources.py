"""Render farms and generation back ends whose events become grids: `client.sources`."""

from gridscribe.client.binding import AsyncResource, Awaited, Blocking, BlockingResource
from gridscribe.client.flow import Flow, Request
from gridscribe.client.paths import path_of
from gridscribe.client.wire import Wire
from shared.errors import ErrorCode
from shared.inbound_sources import Source, SourceList, SourceRequest, SourceWithSecret


class SourceFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Flow[tuple[Source, ...]]:
        """The oldest first, without their logs."""
        found = yield from self._wire.ask(Request("GET", path_of("sources"), SourceList))
        return found.data

    def get(self, source_id: str) -> Flow[Source]:
        """One of them, with the log of its grids."""
        request = Request("GET", path_of("sources", source_id), Source)
        return (yield from self._wire.ask(request))

    def create(self, source: SourceRequest) -> Flow[SourceWithSecret]:
        """Make a source; its secret is in this answer and never again."""
        request = Request("POST", path_of("sources"), SourceWithSecret, json=_body(source))
        return (yield from self._wire.ask(request))

    def replace(self, source_id: str, source: SourceRequest) -> Flow[SourceWithSecret]:
        """Change a source as a whole. Its secret stays where none is given."""
        path = path_of("sources", source_id)
        request = Request("PUT", path, SourceWithSecret, json=_body(source))
        return (yield from self._wire.ask(request))

    def rotate_secret(self, source_id: str) -> Flow[SourceWithSecret]:
        """Make a new secret; the old one is refused at once."""
        path = path_of("sources", source_id, "rotate-secret")
        return (yield from self._wire.ask(Request("POST", path, SourceWithSecret)))

    def delete(self, source_id: str) -> Flow[None]:
        """Frames that wait for a grid go with it; grids that were made stay."""
        yield from self._wire.exchange(
            Request(
                *("DELETE", path_of("sources", source_id)),
                done_codes=frozenset({ErrorCode.SOURCE_NOT_FOUND}),
            )
        )


def _body(source: SourceRequest) -> bytes:
    return source.model_dump_json(exclude_unset=True).encode()


class Sources(BlockingResource):
    """`Client.sources`."""

    list = Blocking(SourceFlows.list)
    get = Blocking(SourceFlows.get)
    create = Blocking(SourceFlows.create)
    replace = Blocking(SourceFlows.replace)
    rotate_secret = Blocking(SourceFlows.rotate_secret)
    delete = Blocking(SourceFlows.delete)


class AsyncSources(AsyncResource):
    """`AsyncClient.sources`."""

    list = Awaited(SourceFlows.list)
    get = Awaited(SourceFlows.get)
    create = Awaited(SourceFlows.create)
    replace = Awaited(SourceFlows.replace)
    rotate_secret = Awaited(SourceFlows.rotate_secret)
    delete = Awaited(SourceFlows.delete)
