"""The deployment files and docs/settings.md agree with the code as it is.

Their syntax is checked by `make lint`: hadolint, and the schema of the Compose specification.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from shared.settings import Settings
from shared.settings_reference import reference
from shared.work_units import WorkerKind, WorkerStamp
from tests.fixtures.deployed_redis import (
    check_keeps_strangers_out,
    check_loses_no_accepted_job,
    deployed_redis,
)
from worker.backend import connect_lifecycle

ROOT = Path(__file__).parents[2]
PREFIX = str(Settings.model_config["env_prefix"])
VARIABLES = {PREFIX + name.upper() for name in Settings.model_fields}
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
OWN_SERVICES = sorted(set(SERVICES) - {"redis"})


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_is_given_only_settings_that_there_are(name: str) -> None:
    given = {key for key in SERVICES[name]["environment"] if key.startswith(PREFIX)}
    assert given
    assert given <= VARIABLES


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"]
    assert service["init"] is True
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"


def test_nothing_but_the_api_is_reached_and_that_from_this_host_alone() -> None:
    published = {name: it["ports"] for name, it in SERVICES.items() if "ports" in it}
    assert published == {
        "api": ["${GRIDSCRIBE_BIND:-127.0.0.1}:${GRIDSCRIBE_PORT:-8000}:8000"],
    }


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_wants_keys_and_can_write_to_its_temporary_folder(name: str) -> None:
    assert SERVICES[name]["environment"]["GRIDSCRIBE_AUTH"] == "required"
    assert [mount.partition(":")[0] for mount in SERVICES[name]["tmpfs"]] == ["/tmp"]  # noqa: S108


def test_what_the_api_receives_is_spooled_to_a_disk_and_not_into_memory() -> None:
    folder = SERVICES["api"]["environment"]["TMPDIR"]
    assert folder in {volume.partition(":")[2] for volume in SERVICES["api"]["volumes"]}


@pytest.mark.parametrize("name", ["caption-worker-cpu", "caption-worker-gpu", "compose-worker"])
def test_a_worker_is_given_the_time_that_it_takes_to_stop(name: str) -> None:
    grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace - 10 <= float(SERVICES[name]["environment"]["GRIDSCRIBE_STOP_SECONDS"]) < grace


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_is_built_from_a_dockerfile_that_does_not_run_as_root(name: str) -> None:
    dockerfile = (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text()
    final_stage = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", final_stage, re.MULTILINE) == ["10001"]


def test_redis_loses_no_accepted_job_and_wants_the_password_that_the_services_have(
    tmp_path: Path,
) -> None:
    """The command of docker-compose.yml as it stands there, on a server of this machine."""
    subprocess.run(
        [ROOT / "docs" / "deploy" / "make-secrets"],
        env={**os.environ, "GRIDSCRIBE_SECRETS": str(tmp_path)},
        check=True,
    )
    password = urlsplit((tmp_path / "gridscribe_redis_url").read_text().strip()).password
    assert password
    *shell, script = SERVICES["redis"]["command"]
    assert shell == ["sh", "-c"]
    assert "redis:/data" in SERVICES["redis"]["volumes"], "the folder in which its image starts it"
    places = {"$$": "$", "/run/secrets": str(tmp_path), "exec ": f"cd {tmp_path} && exec "}
    with deployed_redis(script, password, places) as (server, redis):
        check_loses_no_accepted_job(redis)
        check_keeps_strangers_out(server, password)


@pytest.mark.parametrize(("password", "is_healthy"), [("of-redis", True), ("another", False)])
def test_redis_is_healthy_when_it_answers_to_the_password(
    tmp_path: Path, password: str, is_healthy: bool
) -> None:
    """The check of docker-compose.yml as it stands there, with a `redis-cli` of our own."""
    secret = tmp_path / "gridscribe_redis_url"
    secret.write_text("redis://:of-redis@redis:6379/0\n")
    program = tmp_path / "redis-cli"
    program.write_text(f'#!/bin/sh\n[ "$REDISCLI_AUTH $*" = "{password} ping" ] && echo PONG\n')
    program.chmod(0o755)
    kind, script = SERVICES["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path))
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    checked = subprocess.run(["sh", "-c", script], env={**os.environ, **paths}, check=False)
    assert (checked.returncode == 0) == is_healthy


def test_secrets_come_by_files_alone() -> None:
    for name, service in SERVICES.items():
        given = service.get("environment", {})
        assert "GRIDSCRIBE_REDIS_URL" not in given, name
        assert service["secrets"] == ["gridscribe_redis_url"], name


def test_each_process_of_the_service_runs() -> None:
    commands = " | ".join(str(SERVICES[name].get("command", "")) for name in OWN_SERVICES)
    for part in (
        *("-Q caption -P threads", "-Q compose -P prefork"),
        *("worker.dispatcher", "worker.deliverer"),
    ):
        assert part in commands


def test_a_worker_is_healthy_while_its_host_has_left_a_sign_of_progress(settings: Settings) -> None:
    assert not worker_is_healthy(settings)

    lifecycle = connect_lifecycle(settings)
    stamp = WorkerStamp(owner="elsewhere:1:0", kind=WorkerKind.COMPOSE, capacity=1)
    lifecycle.stamp(stamp)
    assert not worker_is_healthy(settings)

    lifecycle.stamp(stamp.model_copy(update={"owner": lifecycle.owner}))
    assert worker_is_healthy(settings)


def worker_is_healthy(settings: Settings) -> bool:
    """Run the health check of docker-compose.yml as it stands there."""
    program, *arguments = SERVICES["dispatcher"]["healthcheck"]["test"][1:]
    assert program == "python"
    checked = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "GRIDSCRIBE_REDIS_URL": settings.redis_url},
        check=False,
    )
    return checked.returncode == 0


def test_the_settings_page_is_what_the_settings_say_of_themselves() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == reference(), "`make openapi`"
    described = re.findall(rf"^\| `({PREFIX}\w+)` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert sorted(described) == sorted(VARIABLES)
