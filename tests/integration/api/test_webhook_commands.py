"""`gridscribe webhooks`, against a real service that sends nothing."""

import json
from collections.abc import Iterator

import httpx
import pytest

from gridscribe import Client
from shared.webhooks import NewWebhookEndpoint
from tests.fixtures.command_line import Run
from tests.integration.api.served import png


@pytest.fixture
def library(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("GRIDSCRIBE_SERVER", str(client.base_url))
    with Client(str(client.base_url)) as library:
        yield library


def test_an_endpoint_is_made_changed_and_removed(
    run: Run, library: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    created = ("create", "https://example.com/hook", "--event", "job.failed")
    assert run("webhooks", *created) == 0
    told = capsys.readouterr()
    assert told.out.startswith("whsec_")
    [endpoint] = library.webhook_endpoints.list()
    assert endpoint.id in told.err

    assert run("webhooks", "change", endpoint.id, "--disable", "--json") == 0
    assert json.loads(capsys.readouterr().out)["disabled"]
    assert run("webhooks", "show", endpoint.id) == 0
    assert "disabled" in capsys.readouterr().out
    assert run("webhooks", "rotate-secret", endpoint.id, "--overlap", "60") == 0
    assert capsys.readouterr().out.startswith("whsec_")
    assert run("webhooks", "test", endpoint.id) == 4, "it is disabled"
    assert run("webhooks", "change", endpoint.id, "--enable") == 0
    assert run("webhooks", "delete", endpoint.id) == 0
    assert library.webhook_endpoints.list() == ()
    assert run("webhooks", "create", "") == 2


def test_what_was_sent_is_listed(
    run: Run, library: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("webhooks", "create", "https://example.com/hook") == 0
    [endpoint] = library.webhook_endpoints.list()
    capsys.readouterr()
    assert run("webhooks", "test", endpoint.id, "--json") == 0
    sent = json.loads(capsys.readouterr().out)
    assert run("webhooks", "deliveries", endpoint.id, "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == sent["id"]
    assert run("webhooks", "deliveries", endpoint.id) == 0
    assert "webhook.test" in capsys.readouterr().out
    job = library.jobs.create([("a.png", png())])
    assert run("webhooks", "of-job", job.id, "--json") == 0
    assert capsys.readouterr().out == ""


def test_a_log_of_several_pages_is_read_to_its_end_or_to_the_limit(
    run: Run, library: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(20):
        library.webhook_endpoints.create(NewWebhookEndpoint(url=f"https://example.com/{n}"))
    job = library.jobs.create([("a.png", png())])
    for _ in range(3):
        library.jobs.cancel(job.id)
        library.jobs.retry(job.id)
    told = list(library.deliveries.of_job(job.id))
    assert len({each.id for each in told}) == len(told) == 60, "the service gives 50 a page"
    assert run("webhooks", "of-job", job.id, "--limit=55", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [each.id for each in told[:55]]

    endpoint = library.webhook_endpoints.list()[0]
    sent = [library.webhook_endpoints.test(endpoint.id).id for _ in range(60)]
    log = [each.id for each in library.webhook_endpoints.deliveries(endpoint.id)]
    assert {*sent} < {*log}
    assert len(log) == 63, "and its three of the job"
    assert run("webhooks", "deliveries", endpoint.id, "--limit=55", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == log[:55]
