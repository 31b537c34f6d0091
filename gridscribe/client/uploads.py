"""Files sent ahead of their job: `client.uploads`."""

import json

from gridscribe.client.binding import AsyncResource, Awaited, Blocking, BlockingResource
from gridscribe.client.flow import Flow, Request
from gridscribe.client.paths import path_of
from gridscribe.client.upload_file import FileBody, ImageFile, OnBytes, UploadFile, UploadProgress
from gridscribe.client.wire import Wire
from shared.schemas import PresignedUpload, Upload


class UploadFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create(self, image: ImageFile, on_upload: OnBytes | None = None) -> Flow[Upload]:
        """Store one image for later jobs; `ImageReference(upload_id=...)` names it there."""
        return (yield from self.send(UploadProgress(on_upload).file(image)))

    def presign(self, name: str | None = None) -> Flow[PresignedUpload]:
        """A link to PUT one file straight into the service's bucket; only with S3 storage."""
        body = json.dumps({} if name is None else {"name": name}).encode()
        request = Request("POST", path_of("uploads", "presign"), PresignedUpload, json=body)
        return (yield from self._wire.ask(request))

    def create_direct(
        self, image: ImageFile, on_upload: OnBytes | None = None
    ) -> Flow[PresignedUpload]:
        """Store one image past the service, straight in its bucket."""
        file = UploadProgress(on_upload).file(image)
        upload = yield from self.presign(file.name)
        length = {"Content-Length": str(file.size)}
        yield from self._wire.exchange(
            Request(upload.method, upload.url, content=FileBody(file), headers=length)
        )
        return upload

    def send(self, file: UploadFile) -> Flow[Upload]:
        part = ("file", (file.name, file, "application/octet-stream"))
        return (
            yield from self._wire.ask(Request("POST", path_of("uploads"), Upload, files=[part]))
        )


class Uploads(BlockingResource):
    """`Client.uploads`."""

    create = Blocking(UploadFlows.create)
    presign = Blocking(UploadFlows.presign)
    create_direct = Blocking(UploadFlows.create_direct)


class AsyncUploads(AsyncResource):
    """`AsyncClient.uploads`."""

    create = Awaited(UploadFlows.create)
    presign = Awaited(UploadFlows.presign)
    create_direct = Awaited(UploadFlows.create_direct)
