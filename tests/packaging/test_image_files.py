"""What the Dockerfiles and docker-compose.yml promise of images, as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.fixtures.image_install import last_command

ROOT = Path(__file__).parents[2]
DOCKERFILES = ("Dockerfile.api", "Dockerfile.worker")
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# A version to its last number, and the system's release: it may be built anew, but is no other.
EXACT = re.compile(
    r"(python:\d+\.\d+\.\d+-slim-[a-z]+|redis:\d+\.\d+\.\d+-alpine\d+\.\d+)(@sha256:[0-9a-f]{64})?"
)


def stages(dockerfile: str) -> list[str]:
    """From each `FROM` on."""
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    return re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_what_builds_an_image_is_not_in_it(dockerfile: str) -> None:
    build, image = stages(dockerfile)
    assert "pip install" in build
    assert not re.search(r"pip|apt-get|COPY (?!--from=build)|ADD ", image)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_all_that_is_installed_is_pinned_by_hash_or_our_own(dockerfile: str) -> None:
    steps = re.findall(r"\bpip\b[^&]*? install ([^&\n]*)", stages(dockerfile)[0])
    assert len(steps) == 3, "the part's packages, those that build ours, ours"
    for step in steps:
        by_hash = "--require-hashes --only-binary :all: -r " in step
        is_own = "--no-deps --no-index /wheels/" in step
        assert by_hash or is_own, step


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_an_image_starts_where_nobody_writes(dockerfile: str) -> None:
    """Python imports from the folder in which it starts."""
    image = stages(dockerfile)[1]
    assert re.findall(r"^WORKDIR (.+)$", image, re.MULTILINE) == ["/app"]
    assert "/app" not in "".join(re.findall(r"^RUN .*install --directory.*$", image, re.MULTILINE))


def test_the_api_of_the_image_bounds_its_connections() -> None:
    command = last_command("Dockerfile.api")
    assert command[command.index("--http") + 1] == "api.http_protocol:BoundedProtocol"


def test_the_worker_of_the_image_captions_in_threads() -> None:
    command = last_command("Dockerfile.worker")
    assert command[command.index("-Q") + 1 :][:3] == ["caption", "-P", "threads"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_the_bases_of_an_image_are_one_and_the_same_exact_version(dockerfile: str) -> None:
    bases = {stage.split()[0] for stage in stages(dockerfile)}
    assert len(bases) == 1
    assert EXACT.fullmatch(bases.pop())


def test_redis_is_the_same_exact_version_everywhere() -> None:
    manifest = (ROOT / "docs" / "deploy" / "kubernetes" / "redis.yaml").read_text()
    named = {SERVICES["redis"]["image"], *re.findall(r"image: (redis:\S+)", manifest)}
    assert len(named) == 1
    assert EXACT.fullmatch(named.pop())


FILES_WITH_BASES = (*DOCKERFILES, "docker-compose.yml", "docs/deploy/kubernetes/redis.yaml")


def bases(folder: Path) -> list[str]:
    """Every place where an image that is not ours is named."""
    text = "".join((folder / name).read_text() for name in FILES_WITH_BASES)
    return re.findall(r"^(?:FROM|\s*image:) +((?:python|redis):\S+)", text, re.MULTILINE)


def pinned(folder: Path, told: str) -> subprocess.CompletedProcess[str]:
    """The script on a copy of what it changes, with a `docker` that says `told`."""
    docker = folder / "bin" / "docker"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(f"#!/bin/sh\necho {told}\n")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    script = folder / "docs" / "deploy" / "pin-images"
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)


def test_every_base_is_pinned_by_the_digest_that_docker_tells(tmp_path: Path) -> None:
    for name in (*FILES_WITH_BASES, "docs/deploy/pin-images"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    named = bases(tmp_path)
    assert len(named) == 6, "two of each Dockerfile, and Redis twice"
    refused = pinned(tmp_path, "nothing")
    assert refused.returncode == 1
    assert "told no digest" in refused.stderr
    assert bases(tmp_path) == named
    for digest in ("1" * 64, "2" * 64):  # again, when the tags have moved
        assert pinned(tmp_path, f"sha256:{digest}").returncode == 0
        tags = [each.partition("@")[0] for each in named]
        assert bases(tmp_path) == [f"{tag}@sha256:{digest}" for tag in tags]
    assert all(EXACT.fullmatch(each) for each in bases(tmp_path))
    assert not [*tmp_path.rglob("*.old")]


def fetching_step() -> str:
    (step,) = re.findall(r"^RUN (.*\$\{MODEL\}.*)$", stages("Dockerfile.worker")[1], re.MULTILINE)
    return str(step)


def fetched(model: str, **environment: str) -> subprocess.CompletedProcess[str]:
    programs = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-ec", fetching_step()],
        cwd=ROOT,
        env={**os.environ, **programs, **environment, "MODEL": model},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_image_is_built_without_a_model_unless_one_is_named() -> None:
    assert re.search(r"^ARG MODEL=$", stages("Dockerfile.worker")[1], re.MULTILINE)
    nothing = fetched("", PATH="/usr/bin:/bin")
    assert (nothing.returncode, nothing.stderr) == (0, "")


def test_a_model_named_for_an_image_is_the_one_that_is_fetched() -> None:
    refused = fetched("no-such-model:of-nobody")
    assert refused.returncode != 0
    assert "no-such-model" in refused.stderr


def test_captioning_runs_on_a_gpu_or_on_cpus_as_the_profile_says() -> None:
    profiles = {name: it["profiles"] for name, it in SERVICES.items() if "profiles" in it}
    assert profiles == {"caption-worker-cpu": ["cpu"], "caption-worker-gpu": ["gpu"]}
    (device,) = SERVICES["caption-worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in SERVICES["caption-worker-cpu"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_tells_whether_it_is_healthy(name: str) -> None:
    service = SERVICES[name]
    if "healthcheck" not in service:
        assert "\nHEALTHCHECK " in (ROOT / service["build"]["dockerfile"]).read_text()
    if name != "redis":
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"redis", "api"}))
def test_there_may_be_several_of_a_worker(name: str) -> None:
    """`--scale` fails for a service whose name or port on the host can be had once."""
    assert not {"container_name", "ports", "hostname"} & SERVICES[name].keys()


def test_what_outlives_a_container_lies_in_volumes_that_are_declared() -> None:
    mounted = {volume.partition(":")[0] for it in SERVICES.values() for volume in it["volumes"]}
    assert mounted == COMPOSE["volumes"].keys()
    assert "redis:/data" in SERVICES["redis"]["volumes"]
