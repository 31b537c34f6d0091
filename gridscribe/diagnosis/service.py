"""Is the service there, does it take our key, and has it all it needs?"""

from collections.abc import Iterator

from gridscribe.client import ApiError, Client, ServerUnreachableError
from gridscribe.diagnosis.finding import Finding, note, ok, problem
from gridscribe.version import NOT_INSTALLED
from shared.errors import ErrorCode

_STARTS = {
    "store": "its Redis does not answer: start it, or mend GRIDSCRIBE_REDIS_URL of the API",
    "storage": "its storage cannot be reached: see GRIDSCRIBE_STORAGE_URL of the API",
    "dispatcher": "start one: python -m worker.dispatcher",
    "caption workers": "start one: celery -A worker.app worker -Q caption -P threads -c 32",
    "compose workers": "start one: celery -A worker.app worker -Q compose -P prefork -c 2",
}


def check_service(client: Client, own_version: str, *, must_be_there: bool) -> Iterator[Finding]:
    """`must_be_there`: somebody named its address."""
    try:
        readiness = client.service.ready()
    except (ApiError, ServerUnreachableError) as error:
        finding = problem if must_be_there else note
        yield finding(
            "service",
            str(error),
            "start one here with `gridscribe dev`, or name one with --server or GRIDSCRIBE_SERVER",
        )
        return
    yield ok("service", f"answers at {client.base_url}")
    for name in readiness.missing:
        yield problem(name, "the service has none that answers", _STARTS[name])
    if readiness.store and not readiness.deliverer:
        yield note(
            *("deliverer", "the service has none: its webhooks wait"),
            "start one where webhooks are wanted: python -m worker.deliverer",
        )
    for kind, workers in (
        ("caption workers", readiness.caption_workers),
        ("compose workers", readiness.compose_workers),
    ):
        for worker in workers:
            model = f", model {worker.model}" if worker.model else ""
            detail = f"{worker.owner}, {worker.capacity} at once{model}"
            if worker.notice:
                yield note(kind, f"{detail}: {worker.notice}", "its log says more")
            else:
                yield ok(kind, detail)
    yield _check_key(client)
    yield _check_version(client, own_version)


def _check_key(client: Client) -> Finding:
    try:
        models = client.models.list()
    except ApiError as error:
        if error.code == ErrorCode.UNAUTHENTICATED:
            return problem(
                "key",
                str(error),
                "put a key into GRIDSCRIBE_API_KEY; `gridscribe keys create` makes one",
            )
        return problem("key", str(error), "ask those who run the service")
    except ServerUnreachableError as error:
        return problem("key", str(error), "look at the service's log")
    return ok("key", f"the service takes it; models: {', '.join(model.name for model in models)}")


def _check_version(client: Client, own: str) -> Finding:
    try:
        served = client.service.version()
    except (ApiError, ServerUnreachableError) as error:
        return note("version", f"the service does not tell its own: {error}")
    if NOT_INSTALLED in (served, own):  # a checkout on one side: there is nothing to compare
        return ok("version", f"of the service: {served}")
    if served != own:
        return note(
            "version",
            f"the service is {served}, this program {own}",
            "install the same: what is newer in one may be unknown to the other",
        )
    return ok("version", f"{own}, as the service")
