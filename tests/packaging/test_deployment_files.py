"""The deployment files and docs/settings.md agree with the code as it is.

Their syntax is checked by `make lint`: hadolint, and the schema of the Compose specification.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from shared.settings import Settings
from shared.work_units import WorkerKind, WorkerStamp
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
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_is_built_from_a_dockerfile_that_does_not_run_as_root(name: str) -> None:
    dockerfile = (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text()
    final_stage = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", final_stage, re.MULTILINE) == ["10001"]


def test_redis_loses_no_accepted_job() -> None:
    command = SERVICES["redis"]["command"]
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in command


def test_each_queue_of_the_service_has_a_worker() -> None:
    consumed = {
        queue
        for name in OWN_SERVICES
        for queue in re.findall(r"-Q (\w+)", SERVICES[name].get("command", ""))
    }
    assert consumed == {"caption", "compose"}


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


def test_the_settings_page_describes_every_setting_and_no_other() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    described = re.findall(rf"^\| `({PREFIX}\w+)`", page, re.MULTILINE)
    assert sorted(described) == sorted(VARIABLES)
