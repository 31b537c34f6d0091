"""Tenants: whose jobs, uploads and templates are whose."""

from typing import Annotated

from pydantic import StringConstraints

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A part of Redis keys and of paths in storage: it has neither `:` nor `/` nor `.` in it."""

ANONYMOUS = "default"
"""Whose requests without a key are, where they are let in."""
