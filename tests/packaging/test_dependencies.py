"""What an installation brings: all of it is pinned, and each part's extra is enough and no more."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import metadata, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODEL_PACKAGES = ("torch", "torchvision", "open-clip-torch", "timm", "transformers")


def own_requirements(extra: str) -> list[Requirement]:
    """The project's requirements with one extra; those on its own other extras are unfolded."""
    found = []
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            for other in requirement.extras:
                found += own_requirements(other)
        else:
            found.append(requirement)
    return found


def closure(roots: Iterable[Requirement]) -> dict[str, list[Requirement]]:
    """Everything that installing `roots` here brings: canonical name to what is asked of it."""
    asked: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    # A requirement's own marker is asked about the extra of the distribution that names it.
    pending = [(requirement, "") for requirement in roots]
    while pending:
        requirement, extra = pending.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        asked.setdefault(name, []).append(requirement)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                pending += [(Requirement(line), wanted) for line in requires(name) or ()]
    return asked


@pytest.fixture(scope="module")
def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pinned}


def pinned_version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator in ("==", "===")
    return specifier.version


def test_every_package_of_the_dev_extra_is_pinned_at_a_version_it_may_have(
    pins: dict[str, Requirement],
) -> None:
    for name, asked in closure(own_requirements("dev")).items():
        if name == "pip":  # pip-audit asks for it: the environment's own installs everything
            continue
        assert name in pins, f"constraints.txt does not pin {name}: run `make constraints`"
        version = pinned_version(pins[name])
        for requirement in asked:
            assert requirement.specifier.contains(version, prereleases=True), (
                f"constraints.txt pins {name} {version}, but {requirement} is asked: "
                "run `make constraints`"
            )


def test_every_pin_can_be_installed_with_the_oldest_python_we_allow() -> None:
    (oldest,) = SpecifierSet(PROJECT["requires-python"])
    assert oldest.operator == ">="
    for name in closure(own_requirements("dev")):
        asked = SpecifierSet(metadata(name)["Requires-Python"] or "")
        assert asked.contains(f"{oldest.version}.0"), f"{name} asks for Python {asked}"


def test_torch_is_pinned_so_that_no_local_build_fits(pins: dict[str, Requirement]) -> None:
    for name in ("torch", "torchvision"):
        version = pinned_version(pins[name])
        assert pins[name].specifier.contains(version)
        assert not pins[name].specifier.contains(f"{version}+cpu")


def test_constraints_hold_no_address_and_no_option() -> None:
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w.-]+={2,3}[\w.]+( ; sys_platform == \"linux\")?", line), line


@pytest.mark.parametrize("extra", ["api", "compose", "caption"])
def test_an_image_installs_all_that_its_part_asks_by_hash_and_nothing_from_an_address(
    pins: dict[str, Requirement], extra: str
) -> None:
    installed = hashed_requirements(extra)
    assert installed.keys() >= closure(own_requirements(extra)).keys()
    for name, pin in installed.items():
        if name in pins:  # all but what only a newer Python than this one asks for
            assert pinned_version(pin) == pinned_version(pins[name]), "run `make hashes`"
    assert ("torch" in installed) == (extra == "caption")


def hashed_requirements(extra: str) -> dict[str, Requirement]:
    """Canonical name to pin; fails for a line that holds anything but a pin and its hashes."""
    text = (ROOT / "requirements" / f"{extra}.txt").read_text().replace(" \\\n", " ")
    found: dict[str, Requirement] = {}
    for line in text.splitlines():
        pin, *hashes = re.split(r"\s+--hash=", line)
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), line
        requirement = Requirement(pin)
        assert requirement.url is None
        found[canonicalize_name(requirement.name)] = requirement
    return found


def test_the_api_extra_brings_no_model() -> None:
    brought = closure(own_requirements("api"))
    assert {"fastapi", "starlette", "uvicorn", "redis"} <= brought.keys()
    assert brought.keys().isdisjoint((*MODEL_PACKAGES, "celery", "numpy"))


def test_the_compose_extra_brings_no_model() -> None:
    brought = closure(own_requirements("compose"))
    assert {"celery", "pillow"} <= brought.keys()
    assert brought.keys().isdisjoint(MODEL_PACKAGES)


def test_the_api_starts_with_its_extra_alone_and_without_the_worker() -> None:
    printed = run_with_extra(
        "api",
        "from api.app import create_app; print(*create_app().openapi()['paths'])",
        also_absent=("worker", "gridscribe"),
    )
    assert {"/v1/jobs", "/healthz"} <= set(printed.split())


def test_the_extra_of_the_api_is_enough_to_make_keys() -> None:
    program = "import sys; sys.argv = ['gridscribe', 'keys', '--help']; "
    printed = run_with_extra(
        "api", program + "from gridscribe.cli import main; main()", also_absent=("worker",)
    )
    assert "revoke" in printed


def test_compose_worker_and_dispatcher_start_with_their_extra_alone() -> None:
    # Celery imports the broker's driver only when it connects.
    printed = run_with_extra(
        "compose",
        "import worker.compose_unit, worker.dispatcher; from worker.app import app;"
        "print(app.connection_for_write().transport.driver_type)",
        also_absent=("api", "gridscribe"),
    )
    assert printed == "redis"


WITHOUT_SOME_MODULES = """
import sys
from importlib.abc import MetaPathFinder

program, *absent = sys.argv[1:]


class AbsentFinder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, AbsentFinder())
exec(program)
"""


def run_with_extra(extra: str, program: str, also_absent: Iterable[str]) -> str:
    """What `program` prints in a process that can import our own code and one extra's packages."""
    brought = {*closure(own_requirements(extra)), PROJECT["name"]}
    absent = {
        module
        for module, distributions in packages_distributions().items()
        if brought.isdisjoint(map(canonicalize_name, distributions))
    }
    assert {"torch", "pytest"} <= absent
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOME_MODULES, program, *absent, *also_absent],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
