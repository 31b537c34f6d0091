"""The application: `uvicorn --factory api.app:create_app`, and `api.http_protocol` below it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import Depends, FastAPI

from api.access import REFUSALS, AccessControl
from api.compat.grid_service import opened_grids
from api.dependencies import Services, get_tenant
from api.error_handlers import add_error_handlers
from api.image_fetching import ImageFetcher
from api.inbound.opening import opened_reception
from api.job_events import JobEvents
from api.job_service import JobService
from api.openapi import build_openapi
from api.problems import documented
from api.readiness import ReadinessService
from api.request_context import RequestContext
from api.request_metrics import RequestMetrics
from api.routes import (
    catalog,
    compat,
    deliveries,
    health,
    inbound,
    job_actions,
    job_events,
    jobs,
    poll,
    preview,
    relabel,
    results,
    sources,
    templates,
    uploads,
    web_page,
    webhook_endpoints,
)
from api.service_metrics import ServiceMetrics, brought_regularly
from api.source_service import SourceService
from api.tracing import SPANS
from api.upload_service import UploadService
from api.webhook_service import WebhookService
from shared.counters import Counters
from shared.job_signals import JobSignals
from shared.job_store import JobStore, connect
from shared.logging import configure_logging
from shared.object_storage import ObjectStorage
from shared.settings import Settings, get_settings
from shared.source_store import SourceStore
from shared.template_store import TemplateStore
from shared.tracing import configure_tracing
from shared.url_guard import UrlGuard
from shared.webhook_deliveries import DeliveryLog
from shared.webhook_endpoints import EndpointStore

_log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """`settings` of None are the process's own, from its environment."""
    chosen = settings or get_settings()
    counters = Counters()
    configure_tracing("api")
    app = FastAPI(
        title="Gridscribe",
        summary="Labels images and composes them into labeled sheets.",
        version=_version(),
        lifespan=partial(_lifespan, settings=chosen, counters=counters),
        separate_input_output_schemas=False,
        telemetry=SPANS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(RequestContext)
    app.add_middleware(RequestMetrics, counters=counters)
    add_error_handlers(app)
    app.router.routes.extend(poll.router.routes)
    for routes in (
        jobs,
        job_actions,
        job_events,
        results,
        uploads,
        catalog,
        preview,
        templates,
        relabel,
        sources,
        webhook_endpoints,
        deliveries,
    ):
        app.include_router(
            routes.router,
            dependencies=[Depends(get_tenant)],
            responses=documented(*REFUSALS),
        )
    app.include_router(inbound.router)
    app.include_router(health.router)
    app.include_router(web_page.router)
    if chosen.compat_root:
        app.include_router(compat.router)
    app.openapi = partial(build_openapi, app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, counters: Counters) -> AsyncIterator[None]:
    configure_logging("api", settings.log_level, settings.log_format)
    async with connect(settings) as redis, AsyncExitStack() as opened:
        store = JobStore(redis, settings)
        templates_of_tenants = TemplateStore(redis)
        storage = ObjectStorage(settings.effective_storage_url)
        signals = JobSignals(
            redis, settings.max_event_listeners, settings.max_event_listeners_per_tenant
        )
        job_service = JobService(store, templates_of_tenants, storage, settings)
        guard, source_store = UrlGuard.of(settings), SourceStore(redis)
        app.state.services = Services(
            settings=settings,
            storage=storage,
            jobs=job_service,
            events=JobEvents(store, signals, settings),
            uploads=UploadService(store, storage, settings),
            fetcher=ImageFetcher(guard, settings),
            readiness=ReadinessService(store, storage, settings),
            access=AccessControl(redis, settings),
            templates=templates_of_tenants,
            metrics=ServiceMetrics(redis, store, counters),
            sources=SourceService(source_store, guard),
            reception=await opened.enter_async_context(
                opened_reception(redis, source_store, job_service, guard, settings)
            ),
            webhooks=WebhookService(
                EndpointStore(redis, settings), DeliveryLog(redis), job_service, guard
            ),
            grids=opened.enter_context(opened_grids(job_service, storage, settings)),
        )
        passing_on = asyncio.create_task(signals.run())
        await opened.enter_async_context(brought_regularly(counters, redis))
        _log.info("api ready")
        yield
        passing_on.cancel()
        with suppress(asyncio.CancelledError):
            await passing_on


def _version() -> str:
    try:
        return version("gridscribe")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
