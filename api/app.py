"""The application: `uvicorn --factory api.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from api.dependencies import Services
from api.error_handlers import add_error_handlers
from api.image_fetching import ImageFetcher
from api.job_service import JobService
from api.openapi import build_openapi
from api.readiness import ReadinessService
from api.request_context import RequestContext
from api.routes import catalog, health, jobs, preview, results, uploads
from api.upload_service import UploadService
from shared.job_store import JobStore, connect
from shared.logging import configure_logging
from shared.object_storage import ObjectStorage
from shared.settings import Settings, get_settings
from shared.url_guard import UrlGuard


def create_app(settings: Settings | None = None) -> FastAPI:
    """`settings` of None are the process's own, from its environment."""
    chosen = settings or get_settings()
    app = FastAPI(
        title="Gridscribe",
        summary="Labels images and composes them into labeled sheets.",
        version=_version(),
        lifespan=partial(_lifespan, settings=chosen),
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(RequestContext)
    add_error_handlers(app)
    for routes in (jobs, results, uploads, catalog, preview, health):
        app.include_router(routes.router)
    app.openapi = partial(build_openapi, app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    configure_logging("api", settings.log_level)
    async with connect(settings) as redis:
        store = JobStore(redis, settings)
        storage = ObjectStorage(settings.effective_storage_url)
        app.state.services = Services(
            settings=settings,
            storage=storage,
            jobs=JobService(store, storage, settings),
            uploads=UploadService(store, storage, settings),
            fetcher=ImageFetcher(UrlGuard.of(settings), settings),
            readiness=ReadinessService(store, storage, settings),
        )
        yield


def _version() -> str:
    try:
        return version("gridscribe")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
