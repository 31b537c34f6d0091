"""What API and workers need: the store, the broker, the storage."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

from obstore.exceptions import BaseError as StorageError
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from gridscribe.diagnosis.finding import Finding, note, ok, problem
from shared.object_storage import ObjectStorage
from shared.settings import Settings

_STORAGE_SECONDS = 20.0
_OLDEST_REDIS = 7
"""The first whose scripts may say in their first line what they do in a full store."""


def check_store(settings: Settings, *, must_be_there: bool) -> Iterator[Finding]:
    """The Redis or Valkey that keeps jobs; `must_be_there`: somebody named its address."""
    try:
        with Redis.from_url(
            settings.redis_url, decode_responses=True, socket_connect_timeout=2, socket_timeout=5
        ) as redis:
            told = redis.info()
            fsync = _appendfsync(redis)
    except (RedisError, OSError, ValueError) as error:
        finding = problem if must_be_there else note
        yield finding(
            "store",
            f"{_without_password(settings.redis_url)}: {error}",
            "start Redis or Valkey, or set GRIDSCRIBE_REDIS_URL; `gridscribe dev` brings its own",
        )
        return
    name = "Valkey" if "valkey_version" in told else "Redis"
    version = told.get("valkey_version") or told.get("redis_version")
    reached = f"{name} {version} at {_without_password(settings.redis_url)}"
    # Valkey tells also which Redis it is like.
    if int(str(told.get("redis_version", 0)).partition(".")[0]) < _OLDEST_REDIS:
        yield problem(
            "store",
            f"{reached} is too old: it refuses the service's scripts",
            f"run Redis {_OLDEST_REDIS} or newer, or any Valkey; both read its append-only file",
        )
    else:
        yield ok("store", reached)
    policy = told.get("maxmemory_policy")
    if policy != "noeviction":
        yield problem(
            "store",
            f"maxmemory-policy is {policy}: a full store would drop jobs",
            "CONFIG SET maxmemory-policy noeviction, and write it into its configuration",
        )
    if not told.get("aof_enabled"):
        yield note(
            "store",
            "its append-only file is off: accepted jobs are lost when it restarts",
            "CONFIG SET appendonly yes, and write it into its configuration",
        )
    elif fsync not in (None, "always"):
        yield note(
            "store",
            f"appendfsync is {fsync}: jobs accepted just before its host loses power may be lost",
            "CONFIG SET appendfsync always, and write it into its configuration",
        )


def _appendfsync(redis: "Redis") -> str | None:
    """When writes are brought to disk; None where the server does not say, as hosted ones."""
    try:
        told: str | None = redis.config_get("appendfsync").get("appendfsync")
    except ResponseError:
        return None
    return told


def check_broker(settings: Settings) -> Finding | None:
    """A broker beside the store; None without one, or without the packages to reach it."""
    if not settings.broker_url:
        return None
    try:
        from kombu.exceptions import OperationalError

        from shared.queue import make_celery
    except ImportError:
        return note("broker", "not looked at", "pip install 'gridscribe[compose]' to look at it")
    address = _without_password(settings.broker_url)
    try:
        with make_celery(settings).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=3)
    except (OperationalError, OSError, KeyError) as error:  # KeyError: no such transport
        return problem("broker", f"{address}: {error}", "start it, or mend GRIDSCRIBE_BROKER_URL")
    return ok("broker", address)


def check_storage(settings: Settings) -> Finding:
    """Writes a small object, reads it again and deletes it."""
    url = settings.effective_storage_url
    if settings.storage_url is None and not settings.data_dir.exists():
        return note("storage", f"no {settings.data_dir} here yet: the service makes it")
    advice = "see GRIDSCRIBE_STORAGE_URL and, of a bucket, the AWS_* variables: docs/storage.md"
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(_write_and_read, url).result(_STORAGE_SECONDS)
    except FutureTimeoutError:
        return problem("storage", f"{url}: no answer in {_STORAGE_SECONDS:g} s", advice)
    except (StorageError, OSError, ValueError) as error:
        return problem("storage", f"{url}: {_first_line(error)}", advice)
    finally:
        pool.shutdown(wait=False)
    return ok("storage", f"{url} can be written, read and deleted")


def _write_and_read(url: str) -> None:
    storage = ObjectStorage(url)
    key, data = f"doctor/{uuid.uuid4()}", b"gridscribe doctor"
    storage.put_bytes(key, data)
    try:
        with storage.open(key) as file:
            if file.read() != data:
                raise OSError("what is read is not what was written")
    finally:
        storage.delete(key)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
