"""The client library: submit a job, follow it, fetch its sheet.

`JobFlows` and its kind say what each call does; `Client` runs them blocking, `AsyncClient` with
await.
"""

from gridscribe.client.client import DEFAULT_SERVER, AsyncClient, Client
from gridscribe.client.errors import (
    ApiError,
    ClientError,
    JobTimeoutError,
    ServerUnreachableError,
    UnusableArgumentError,
)
from gridscribe.client.job_updates import JobUpdate
from gridscribe.client.upload_file import ImageInput

__all__ = [
    "DEFAULT_SERVER",
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "ImageInput",
    "JobTimeoutError",
    "JobUpdate",
    "ServerUnreachableError",
    "UnusableArgumentError",
]
