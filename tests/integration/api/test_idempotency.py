"""One key, one job: also while its request is still on its way."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from redis import Redis

from shared.keyspace import PREFIX
from tests.fixtures.waiting import wait_until
from tests.integration.api.served import GOOD, Part, image_part, problem_of

KEY = {"Idempotency-Key": "key-1"}
RESERVATION = f"{PREFIX}idempotency:default:key-1"


def send(client: httpx.Client, part: Part = GOOD) -> httpx.Response:
    return client.post("/v1/jobs", files=[part], headers=KEY)


class HalfSent:
    """A request with the key whose body has begun to come."""

    def __init__(self, client: httpx.Client) -> None:
        whole = client.build_request("POST", "/v1/jobs", files=[GOOD], headers=KEY)
        head = "".join(f"{name}: {value}\r\n" for name, value in whole.headers.items())
        body = whole.read()
        address = (client.base_url.host, client.base_url.port or 80)
        self._peer = socket.create_connection(address, timeout=60)
        self._peer.sendall(f"POST /v1/jobs HTTP/1.1\r\n{head}\r\n".encode() + body[:50])
        self._rest = body[50:]

    def send_rest(self) -> bytes:
        """The answer, as far as it comes at once."""
        self._peer.sendall(self._rest)
        return self._peer.recv(65536)

    def close(self) -> None:
        self._peer.close()


@contextmanager
def half_sent(client: httpx.Client, redis: Redis) -> Iterator[HalfSent]:
    request = HalfSent(client)
    try:
        wait_until(lambda: bool(redis.exists(RESERVATION)))
        yield request
    finally:
        request.close()


def test_a_key_is_refused_while_its_first_request_is_being_accepted(
    client: httpx.Client, redis: Redis
) -> None:
    with half_sent(client, redis):
        refused = send(client)
        problem = problem_of(refused)
        assert (problem["status"], problem["code"]) == (409, "idempotency_in_progress")
        assert int(refused.headers["Retry-After"]) >= 1
        other = client.post("/v1/jobs", files=[GOOD], headers={"Idempotency-Key": "key-2"})
        assert other.status_code == 202
    # The first one's connection broke, so nothing came of it.
    wait_until(lambda: not redis.exists(RESERVATION))
    assert send(client).status_code == 202


def test_a_refused_request_frees_its_key_at_once(
    client: httpx.Client, assert_nothing_is_left: Callable[[], None]
) -> None:
    assert send(client, image_part("notes.txt", b"no picture")).status_code == 422
    assert_nothing_is_left()
    accepted = send(client)
    assert accepted.status_code == 202
    assert send(client).json()["id"] == accepted.json()["id"]


def test_a_key_whose_request_died_with_its_process_is_free_after_a_while(
    client: httpx.Client, redis: Redis
) -> None:
    with half_sent(client, redis):
        assert 0 < redis.pttl(RESERVATION) <= 30_000


def test_a_request_that_lost_its_reservation_makes_no_second_job(
    client: httpx.Client, redis: Redis
) -> None:
    with half_sent(client, redis) as request:
        redis.delete(RESERVATION)  # as if its process had been stopped for a minute
        first = send(client).json()["id"]
        assert first.encode() in request.send_rest()
    assert redis.zcard(f"{PREFIX}active") == 1


def test_the_key_outlives_the_reservation(client: httpx.Client, redis: Redis) -> None:
    send(client)
    assert redis.pttl(RESERVATION) > 60_000
    assert redis.hget(RESERVATION, "reserved_by") is None


@pytest.mark.parametrize("key", ["", "ä", "a b", "x" * 256])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    answer = client.post(
        "/v1/jobs", files=[GOOD], headers=[(b"Idempotency-Key", key.encode("utf-8"))]
    )
    assert problem_of(answer)["errors"][0]["location"] == "Idempotency-Key"
