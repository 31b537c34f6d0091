"""One line a record, the same shape in every process, as text or as JSON.

What a record is about (a request, a job) is bound once and stands in every line until it is over,
also in those of libraries. Keys and passwords are blotted out on the way, whoever logs them.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

LogFormat = Literal["text", "json"]

_bound: ContextVar[Mapping[str, str]] = ContextVar("_bound", default=MappingProxyType({}))

_SECRETS = (
    # API keys and webhook secrets: enough is left to recognise one.
    (re.compile(r"\b((?:gsk|gsi|whsec)_[\w+/=-]{8})[\w+/=-]+"), r"\1..."),
    (re.compile(r"(?i)\b(bearer\s+)(?!gsk_)[\w.~+/=-]{12,}"), r"\1..."),
    # What opens a source to senders that sign nothing stands in the address.
    (re.compile(r"(/v1/inbound/[\w-]+)(?:/[^\s?\"']+)?(?:\?[^\s\"']+)?"), r"\1"),
    (re.compile(r"(://[^/@\s:]*):[^/@\s]+@"), r"\1:...@"),
    # Signed links open what they lead to.
    (
        re.compile(r"(?i)([?&](?:x-amz-[a-z-]+|sig|signature|token|key|secret)=)[^&\s\"']+"),
        r"\1...",
    ),
)

# Callers' words may come with an error: what moves a terminal's cursor, or begins a line, must not
# pass for a record of ours (CWE-117).
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


@contextmanager
def bound(**about: str) -> Iterator[None]:
    """Records that are logged inside, `bound(job_id="...")`, tell what they are about.

    It holds for the block's own thread or task and for those that take its context along, as
    anyio's do.
    """
    token = _bound.set({**_bound.get(), **about})
    try:
        yield
    finally:
        _bound.reset(token)


def configure_logging(process: str, level: str, log_format: LogFormat = "text") -> None:
    """Send every logger's records to standard error, named after the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(process) if log_format == "json" else _TextLines(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("celery", "kombu", "amqp", "httpx", "httpcore", "PIL", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    for own_handlers in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(own_handlers)
        logger.handlers.clear()
        logger.propagate = True


def redacted(text: str) -> str:
    """`text` without the secrets in it, and without control characters but tabs and line ends."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text.translate(_CONTROLS)


class _TextLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {process} %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's own name
        about = " ".join(f"{name}={value}" for name, value in _bound.get().items())
        return super().formatMessage(record) + (f" [{about}]" if about else "")

    def format(self, record: logging.LogRecord) -> str:
        # Only a record begins at a line's beginning.
        return redacted(super().format(record)).replace("\n", "\n  ")


class _JsonLines(logging.Formatter):
    """Every line an object: time (RFC 3339), level, process, logger, message, what is bound, and
    exception where there is one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": redacted(record.getMessage()),
            **_bound.get(),
        }
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
