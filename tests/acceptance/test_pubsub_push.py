"""Messages that Pub/Sub pushes: taken from one service account only, answered 200 once they are safe."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.broker import STRUCTURED, CommandService, ids_in_log, letters
from acceptance.system import judged, text
from issuer import AUDIENCE, public_jwk, serving, token
from ports import free_port
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.services.all_in_one import migrated

GOOGLE = "https://accounts.google.com"
PUSHER = "pusher@project.iam.gserviceaccount.com"
SUBSCRIPTION = "projects/p/subscriptions/progress-command-learning-events"


def pushed_token(algorithm: str = "RS256", name: str = "first", **changes: Any) -> str:
    claims: dict[str, Any] = {"iss": GOOGLE, "email": PUSHER, "email_verified": True} | changes
    return token(algorithm, name, **claims)


def wrapped(payload: bytes, message_id: str = "1", **changes: Any) -> bytes:
    message = {
        "data": base64.b64encode(payload).decode(),
        "attributes": STRUCTURED,
        "messageId": message_id,
    } | changes
    return text({"message": message, "subscription": SUBSCRIPTION})


def push(service: CommandService, body: bytes, bearer: str | None = None) -> httpx.Response:
    sent = pushed_token() if bearer is None else bearer
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {sent}"} if sent else {})
    return httpx.post(f"{service.url}/pubsub/push", content=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def keys() -> Iterator[str]:
    with serving(json.dumps({"keys": [public_jwk("RS256")]}).encode()) as url:
        yield url


def pushed_to(database: str, log: Path, keys: str) -> CommandService:
    return CommandService(
        database,
        log,
        PROGRESS_PUSH_AUDIENCE=AUDIENCE,
        PROGRESS_PUSH_SERVICE_ACCOUNT=PUSHER,
        PROGRESS_PUSH_JWKS_URL=keys,
    )


@pytest.fixture(scope="module")
async def service(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, keys: str
) -> AsyncIterator[CommandService]:
    log = tmp_path_factory.mktemp("push") / "log"
    with pushed_to(module_database_url, log, keys) as running:
        yield running


def state(service: CommandService) -> tuple[int, int]:
    """How many events and dead letters there are."""
    return len(ids_in_log(service.database)), len(letters(service.database))


def test_a_message_is_stored_and_its_repetition_known(service: CommandService) -> None:
    event = judged()
    for _ in range(2):
        answer = push(service, wrapped(text(event)))
        assert (answer.status_code, answer.json()) == (200, {"status": "stored"})
    assert ids_in_log(service.database).count(event["id"]) == 1


def test_the_older_name_of_the_issuer_is_accepted(service: CommandService) -> None:
    assert push(service, wrapped(text(judged())), pushed_token(iss="accounts.google.com")).status_code == 200


UNSAFE: dict[str, tuple[bytes, str, str]] = {
    "an invalid event": (wrapped(b"{}", "2"), "invalid_event", "specversion"),
    "no base64": (wrapped(b"", "3", data="no base64!"), "malformed_base64", "message.data"),
    "no JSON": (b"{", "malformed_push", ""),
    "no message": (b'{"subscription": "s"}', "malformed_push", ""),
    "an event that nobody wrapped": (text(judged()), "malformed_push", ""),
    "10 MB": (wrapped(b"x" * 9_900_000, "4"), "body_too_large", ""),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_cannot_be_stored_is_kept_and_acknowledged(service: CommandService, name: str) -> None:
    body, code, path = UNSAFE[name]
    events, dead = state(service)
    for _ in range(2):
        answer = push(service, body)
        assert (answer.status_code, answer.json()) == (200, {"status": "dead_letter"})
    assert state(service) == (events, dead + 1)
    letter = letters(service.database)[-1]
    assert (letter["channel"], letter["code"], letter["path"], letter["attempts"]) == ("push", code, path, 2)
    sent = base64.b64decode(json.loads(body)["message"]["data"]) if not letter["wrapped"] else body
    assert letter["payload"] == sent


REFUSED: dict[str, tuple[Callable[[], str], int]] = {
    "no token": (lambda: "", 401),
    "rubbish": (lambda: "x.y.z", 401),
    "expired": (lambda: pushed_token(exp=1_000), 401),
    "another key": (lambda: pushed_token(name="second"), 401),
    "another algorithm": (lambda: pushed_token(algorithm="EdDSA"), 401),
    "another audience": (lambda: pushed_token(aud="https://other.example"), 403),
    "another issuer": (lambda: pushed_token(iss="https://other.example"), 403),
    "another account": (lambda: pushed_token(email="x@y.z"), 403),
    "no account": (lambda: pushed_token(email=...), 403),
    "an account that is not verified": (lambda: pushed_token(email_verified=False), 403),
    "an account verified in words": (lambda: pushed_token(email_verified="true"), 403),
}


@pytest.mark.parametrize("name", REFUSED)
def test_whoever_is_not_the_service_account_stores_nothing(service: CommandService, name: str) -> None:
    make, status = REFUSED[name]
    bearer, before = make(), state(service)
    for body in (wrapped(text(judged())), b"{"):
        answer = push(service, body, bearer)
        assert answer.status_code == status
        assert answer.json()["error"] == ("invalid_token" if status == 401 else "foreign_token")
        assert answer.json()["message"] in (
            "a valid bearer token is needed", "the token is not meant for this service",
        )  # fmt: skip
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert state(service) == before


def test_more_than_pubsub_can_carry_is_not_read(service: CommandService) -> None:
    assert push(service, b" " * 17 * 1024 * 1024).status_code == 413


def test_only_post_is_answered(service: CommandService) -> None:
    assert httpx.get(f"{service.url}/pubsub/push").status_code == 405


def test_push_is_refused_until_it_is_configured(database_url: str, tmp_path: Path) -> None:
    with CommandService(database_url, tmp_path / "log") as service:
        answer = push(service, wrapped(text(judged())))
        assert (answer.status_code, answer.json()["error"]) == (403, "push_not_configured")
        assert "PROGRESS_PUSH_AUDIENCE" in answer.json()["message"]
        assert state(service) == (0, 0)


def test_half_a_configuration_is_an_error(database_url: str, tmp_path: Path) -> None:
    half = CommandService(database_url, tmp_path / "log", PROGRESS_PUSH_AUDIENCE=AUDIENCE)
    with pytest.raises(AssertionError, match="PROGRESS_PUSH_SERVICE_ACCOUNT is not set"):
        half.start()


def test_without_keys_nobody_is_let_in(database_url: str, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/keys"
    with pushed_to(database_url, tmp_path / "log", nowhere) as service:
        assert push(service, wrapped(text(judged()))).status_code == 401
        assert state(service) == (0, 0)


def test_without_the_log_pubsub_is_told_to_come_again(scratch: Path, tmp_path: Path, keys: str) -> None:
    with EmbeddedPostgres(scratch / "push-postgres", port=free_port()) as postgres:
        asyncio.run(migrated(postgres.url))
        with pushed_to(postgres.url, tmp_path / "log", keys) as service:
            assert push(service, wrapped(text(judged()))).status_code == 200
            postgres.stop()
            for body in (wrapped(text(judged())), wrapped(b"{}"), b"{"):
                answer = push(service, body)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            postgres.start()
            assert push(service, wrapped(b"{}")).status_code == 200
            assert state(service) == (1, 1)
