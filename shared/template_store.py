"""Tenants' own templates, in Redis; the built-in ones stand in `shared.templates`."""

from typing import cast

from redis.asyncio import Redis

from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import Template
from shared.keyspace import PREFIX, script_source
from shared.templates import BUILT_IN_TEMPLATES

MAX_TEMPLATES = 200
"""Of one tenant."""


class TemplateStore:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._save = redis.register_script(script_source("save_template"))

    async def own(self, tenant: str) -> dict[str, Template]:
        """The tenant's, by name."""
        stored = cast("dict[str, str]", await self._redis.hgetall(_key(tenant)))
        return {name: Template.model_validate_json(stored[name]) for name in sorted(stored)}

    async def for_spec(self, tenant: str, name: str | None) -> dict[str, Template]:
        """What `apply_template` needs beside the built-in ones for a spec that names `name`."""
        return {} if name is None or name in BUILT_IN_TEMPLATES else await self.own(tenant)

    async def get(self, tenant: str, name: str) -> Template:
        """Raises `GridscribeError` TEMPLATE_NOT_FOUND."""
        if template := BUILT_IN_TEMPLATES.get(name):
            return template
        stored = await self._redis.hget(_key(tenant), name)
        if stored is None:
            raise _not_found(name)
        return Template.model_validate_json(stored)

    async def save(self, tenant: str, name: str, template: Template, *, replace: bool) -> bool:
        """True where it is new.

        Raises `GridscribeError`: TEMPLATE_READ_ONLY for a built-in one's name, TEMPLATE_EXISTS
        unless `replace`, QUOTA_EXCEEDED.
        """
        _check_writable(name)
        outcome = await self._save(
            keys=[PREFIX],
            args=[
                tenant,
                name,
                template.model_dump_json(exclude_unset=True),
                int(replace),
                MAX_TEMPLATES,
            ],
        )
        if outcome == "exists":
            raise GridscribeError(
                ErrorCode.TEMPLATE_EXISTS,
                f"there is a template {name!r} already; replace it with PUT /v1/templates/{name}",
            )
        if outcome == "full":
            raise GridscribeError(
                ErrorCode.QUOTA_EXCEEDED,
                f"you have {MAX_TEMPLATES} templates, the most there may be; delete one first",
            )
        return bool(outcome == "created")

    async def delete(self, tenant: str, name: str) -> None:
        """Raises `GridscribeError` TEMPLATE_READ_ONLY or TEMPLATE_NOT_FOUND."""
        _check_writable(name)
        if not await self._redis.hdel(_key(tenant), name):
            raise _not_found(name)


def _key(tenant: str) -> str:
    return f"{PREFIX}templates:{tenant}"


def _check_writable(name: str) -> None:
    if name in BUILT_IN_TEMPLATES:
        raise GridscribeError(
            ErrorCode.TEMPLATE_READ_ONLY,
            f"{name!r} is a built-in template and cannot be changed; choose another name",
        )


def _not_found(name: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.TEMPLATE_NOT_FOUND,
        f"there is no template {name[:64]!r}; GET /v1/templates lists those there are",
    )
