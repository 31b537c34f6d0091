"""Commands of the operator: API keys and tenants' limits. They work on the store itself."""

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from redis import Redis
from rich.markup import escape
from rich.table import Table

from gridscribe.commands.connection import AsJson, AsJsonLines
from gridscribe.console import err, out, print_document, print_line
from gridscribe.image_files import InputError
from shared.api_keys import ApiKey, ApiKeys
from shared.job_lifecycle import connect
from shared.settings import read_settings
from shared.tenant_limits import TenantLimit, TenantLimits
from shared.tenants import TenantName

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke API keys; limit tenants. Needs GRIDSCRIBE_REDIS_URL.",
)

_DURATION = re.compile(r"(\d{1,4})([hdw])", re.ASCII)
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_tenant = TypeAdapter(TenantName)


def _checked_tenant(value: str | None) -> str | None:
    try:
        return value if value is None else _tenant.validate_python(value)
    except ValidationError as error:
        raise typer.BadParameter(
            "a tenant's name has up to 63 of a-z, 0-9, '-' and '_' and begins with a letter or"
            " a digit"
        ) from error


Tenant = Annotated[str, typer.Option(callback=_checked_tenant, help="Whose keys they are.")]
AnyTenant = Annotated[str | None, typer.Option(callback=_checked_tenant, help="Only its keys.")]


@app.command()
def create(
    tenant: Tenant = "default",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="As in 12h, 90d or 8w. Default: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once: the service keeps only its hash."""
    lifetime = None if expires is None else _duration(expires)
    with _store() as redis:
        secret, key = ApiKeys(redis).create(tenant, name, lifetime)
    if as_json:
        print_document({"secret": secret, **_fields(key)})
    else:
        out.print(secret, soft_wrap=True)
    until = f"until {_shown(key.expires)}" if key.expires else "until it is revoked"
    err.print(f"a key of tenant {key.tenant}, good {until}; it cannot be shown again")


@app.command("list")
def list_keys(tenant: AnyTenant = None, as_json: AsJsonLines = False) -> None:
    """Show the keys there are, by their first characters."""
    with _store() as redis:
        found = ApiKeys(redis).find(tenant)
    if as_json:
        for key in found:
            print_line(_fields(key))
        return
    table = Table("key", "tenant", "name", "made", "expires")
    for key in found:
        table.add_row(
            f"{key.prefix}...",
            key.tenant,
            escape(key.name),
            _shown(key.created),
            _shown(key.expires) if key.expires else "never",
        )
    out.print(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key, or its first characters as listed.")],
    tenant: AnyTenant = None,
    as_json: AsJsonLines = False,
) -> None:
    """Refuse a key from now on."""
    with _store() as redis:
        revoked = ApiKeys(redis).revoke(key.removesuffix("..."), tenant)
    if not revoked:
        raise InputError("there is no such key; 'gridscribe keys list' shows those there are")
    for gone in revoked:
        if as_json:
            print_line(_fields(gone))
        err.print(f"revoked {gone.prefix}... of tenant {gone.tenant}")


_Limit = Annotated[int | None, typer.Option(min=1)]


@app.command()
def limits(
    tenant: Annotated[str, typer.Argument(callback=_checked_tenant)],
    requests_per_minute: _Limit = None,
    images_per_day: _Limit = None,
    bytes_per_day: _Limit = None,
    queued_jobs: _Limit = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to everybody's limits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a tenant limits of its own, and show those it has."""
    given = {
        TenantLimit.REQUESTS_PER_MINUTE: requests_per_minute,
        TenantLimit.IMAGES_PER_DAY: images_per_day,
        TenantLimit.BYTES_PER_DAY: bytes_per_day,
        TenantLimit.QUEUED_JOBS: queued_jobs,
    }
    with _store() as redis:
        own = TenantLimits(redis)
        if reset:
            own.reset(tenant)
        if new := {limit: value for limit, value in given.items() if value is not None}:
            own.set(tenant, new)
        held = own.get(tenant)
    if as_json:
        print_document({limit.value: held.get(limit) for limit in TenantLimit})
        return
    for limit in TenantLimit:
        out.print(f"{limit}: {held.get(limit, 'as everybody')}")


@contextlib.contextmanager
def _store() -> Iterator[Redis]:
    with connect(read_settings()) as redis:
        yield redis


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if not match or match[1] == "0":
        raise InputError(f"--expires {text!r}: write a number of hours, days or weeks, as in 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _fields(key: ApiKey) -> dict[str, object]:
    """Times as other answers have them."""
    kept = key.model_dump(exclude={"created_at", "expires_at"})
    return {**kept, "created_at": key.created, "expires_at": key.expires}
