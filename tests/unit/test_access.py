"""Who asks and what they may see: claims to principals, tokens to claims, settings to who may listen where."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from issuer import AUDIENCE, ISSUER, public_jwk, token
from progress_context import logs
from progress_context.errors import SettingsError, TokenRefused
from progress_context.gate import TRUSTED_SECONDS, TRUSTED_TOKENS, Gate
from progress_context.principal import EVERYBODY, MOST_NAMES, ClaimNames, Principal, Role, principal_of
from progress_context.query.door import Door, RateLimits, Visitor
from progress_context.services import authority
from progress_context.services.development import development_token, sending_token
from progress_context.services.front import Front
from progress_context.settings import Settings, describe
from progress_context.tokens import KeySet, Verifier

SECRET = "a secret of more than thirty-two bytes"
DEVELOPING = Settings(auth_secret=SECRET)
names = st.text("ab/%_\\", min_size=1, max_size=4)


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "ada", "exp": 1, **changes}


def liked(pattern: str, text: str) -> bool:
    """What PostgreSQL's LIKE says."""
    meant = {"%": ".*", "_": "."}
    parts = re.finditer(r"\\(.)|(.)", pattern, re.DOTALL)
    expression = "".join(
        re.escape(str(part[1])) if part[1] else meant.get(str(part[2]), re.escape(str(part[2])))
        for part in parts
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("principal", "seen", "hidden"),
    [
        (Principal("learner", "ada"), ["ada"], ["bob", "ada/x", "Ada", ""]),
        (Principal("learner", "ada", frozenset({"bob"}), frozenset({"g"})), ["ada"], ["bob", "g/x"]),
        (Principal("coach", "ada", frozenset({"bob"}), frozenset({"g"})), ["bob", "g/x", "g/h/x"], ["ada", "g", "gx"]),
        (Principal("coach", "carl"), [], ["carl", "ada", "/x"]),
        (Principal("service", "app"), ["ada", "bob"], []),
        (Principal("operator", "olga"), ["ada", "bob"], []),
    ],
    ids=["learner", "learner with claims of a coach", "coach", "coach of nobody", "service", "operator"],
)  # fmt: skip
def test_a_role_sees_these_and_no_others(principal: Principal, seen: list[str], hidden: list[str]) -> None:
    assert [name for name in seen + hidden if principal.may_see(name)] == seen
    patterns = principal.sight
    if patterns is not None:
        assert [name for name in seen + hidden if any(liked(each, name) for each in patterns)] == seen


@given(names, st.frozensets(names, max_size=3), st.frozensets(names, max_size=2), names)
def test_the_database_is_told_the_same(
    subject: str, learners: frozenset[str], groups: frozenset[str], asked: str
) -> None:
    for role in ("learner", "coach"):
        principal = Principal(role, subject, learners, groups)
        patterns = principal.sight
        assert patterns is not None
        assert principal.may_see(asked) == any(liked(pattern, asked) for pattern in patterns)


def test_who_sees_all_has_no_patterns() -> None:
    assert Principal("service", "app").sight is None
    assert EVERYBODY.sight is None


def test_a_token_without_a_role_is_a_learners() -> None:
    assert principal_of(claims(), ClaimNames()) == Principal("learner", "ada")


def test_claims_stand_where_the_settings_say() -> None:
    own = ClaimNames("https://x/role", "pupils", "classes", "scp")
    told = {"https://x/role": "coach", "pupils": ["bob"], "classes": "c", "scp": ["a", "b"]}
    assert principal_of(claims(**told), own) == Principal(
        "coach", "ada", frozenset({"bob"}), frozenset({"c"}), frozenset({"a", "b"})
    )


def test_scopes_are_words_or_a_list() -> None:
    assert principal_of(claims(scope="a b"), ClaimNames()).scopes == {"a", "b"}
    assert principal_of(claims(scope=""), ClaimNames()).scopes == frozenset()


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "admin"}, {"role": "Operator"}, {"role": ["operator"]}, {"role": None}, {"role": ""},
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": ["ada"]}, {"sub": "a\0"}, {"sub": "\ud800"},
        {"learners": {"bob": 1}}, {"learners": [""]}, {"learners": [None]}, {"learners": ["x"] * (MOST_NAMES + 1)},
        {"groups": [["g"]]}, {"groups": ["g\0"]}, {"groups": ""}, {"scope": 7}, {"scope": [7]},
    ],
)  # fmt: skip
def test_claims_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        principal_of(claims(**wrong), ClaimNames())


class Counting:
    """A verifier that counts how often it is asked."""

    def __init__(self, verify: Callable[[str], dict[str, Any]]) -> None:
        self._verify = verify
        self.asked = 0

    async def verify(self, token: str) -> dict[str, Any]:
        self.asked += 1
        return self._verify(token)


async def test_a_token_is_verified_once_a_minute_and_never_believed_after_its_end() -> None:
    now = [1_000.0]
    verifier = Counting(lambda name: claims(sub=name, exp=1_080))
    gate = Gate(verifier, clock=lambda: now[0])
    for moment, times in ((0, 1), (TRUSTED_SECONDS - 1, 1), (TRUSTED_SECONDS, 2), (79, 2), (80, 3)):
        now[0] = 1_000 + moment
        assert (await gate.show("ada")).subject == "ada"
        assert verifier.asked == times


async def test_a_token_that_was_refused_is_verified_again_and_no_other_token_passes_for_it() -> None:
    def verify(name: str) -> dict[str, Any]:
        if name == "bad":
            raise TokenRefused("bad")
        return claims(sub=name, exp=time.time() + 60)

    gate = Gate(Counting(verify))
    await gate.show("ada")
    for _ in range(2):
        with pytest.raises(TokenRefused):
            await gate.show("bad")
    assert (await gate.show("bob")).subject == "bob"


async def test_only_so_many_tokens_are_remembered() -> None:
    verifier = Counting(lambda name: claims(sub=name, exp=time.time() + 60))
    gate = Gate(verifier)
    for number in range(TRUSTED_TOKENS + 1):
        await gate.show(f"t{number}")
    await gate.show("t0")
    assert verifier.asked == TRUSTED_TOKENS + 2


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_each_algorithm_of_a_key_set_opens_the_gate(algorithm: str) -> None:
    async def fetch(_url: str) -> bytes:
        return json.dumps({"keys": [public_jwk(algorithm)]}).encode()

    keys = KeySet("https://issuer.example/keys", fetch=fetch)
    gate = Gate(Verifier(audience=AUDIENCE, issuers=[ISSUER], keys=keys))
    told = {"authorization": f"Bearer {token(algorithm, role='operator')}"}
    assert (await gate.enter(told)).role == "operator"
    with pytest.raises(TokenRefused):
        await gate.enter({})
    with pytest.raises(TokenRefused):
        await gate.enter({"authorization": token(algorithm)})


async def test_an_open_gate_asks_nobody() -> None:
    assert await Gate().enter({}) is EVERYBODY
    assert await Gate().show("whatever") is EVERYBODY


async def test_a_development_token_is_what_it_was_asked_to_be() -> None:
    made = development_token(
        DEVELOPING, "coach", "carl", learners=["ada"], groups=["g"], scopes=["a", "b"], hours=1
    )
    coach = await authority.gate_of(DEVELOPING).show(made)
    assert coach == Principal("coach", "carl", frozenset({"ada"}), frozenset({"g"}), frozenset({"a", "b"}))
    assert not Settings().auth_secret
    for secret in ("", "short"):
        with pytest.raises(SettingsError, match="PROGRESS_AUTH_SECRET must have at least 32 bytes"):
            development_token(Settings(auth_secret=secret), "learner", "ada")


async def test_what_sends_events_by_itself_may_do_so() -> None:
    assert sending_token(Settings()) == ""
    assert sending_token(replace(DEVELOPING, token="given")) == "given"
    sender = await authority.gate_of(DEVELOPING).show(sending_token(DEVELOPING))
    assert "events:write" in sender.scopes


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_without_authentication_this_machine_may_ask(host: str) -> None:
    settings = Settings(host=host)
    authority.check_exposure(settings)
    assert authority.gate_of(settings).is_open
    assert authority.as_wished(None, settings)
    assert not authority.as_wished(False, settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "progress.example"])
def test_without_authentication_the_network_may_not(host: str) -> None:
    with pytest.raises(SettingsError, match=f"PROGRESS_HOST={re.escape(host)} would let the network in"):
        authority.gate_of(Settings(host=host))
    open_by_wish = Settings(host=host, auth="off")
    assert authority.gate_of(open_by_wish).is_open
    assert not authority.as_wished(None, open_by_wish)
    guarded = Settings(host=host, auth_secret=SECRET)
    assert not authority.gate_of(guarded).is_open
    assert not authority.as_wished(None, guarded)
    assert authority.as_wished(True, guarded)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"auth_jwks_url": "https://x/keys", "auth_issuer": "i"}, "PROGRESS_AUTH_AUDIENCE is not set"),
        ({"auth_jwks_url": "https://x/keys", "auth_audience": "a"}, "PROGRESS_AUTH_ISSUER is not set"),
        ({"auth_jwks_url": "https://x/keys", "auth_secret": SECRET}, "set one of them"),
        ({"auth_secret": "short"}, "at least 32 bytes"),
    ],
)
def test_half_an_authentication_is_none(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        authority.gate_of(Settings(**settings))  # pyright: ignore[reportArgumentType]


def test_switched_off_is_off_even_where_keys_are_configured() -> None:
    assert authority.gate_of(replace(DEVELOPING, auth="off")).is_open


def test_no_secret_gets_into_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is logged at start, of a token that is refused, or of settings that are wrong."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    before = structlog.get_config()
    logs.configure("test")
    try:
        made = development_token(DEVELOPING, "learner", "ada")
        authority.gate_of(DEVELOPING)
        log = structlog.get_logger()
        log.info("asked", header=f"Bearer {made}", address=f"https://x/?token={made}&a=1")
        log.info("asked", headers=json.dumps({"token": made, "secret": SECRET}))
        log.info("connected", redis="rediss://user:hunter2hunter2@cache:6380/0")
    finally:
        structlog.configure(**before)
    assert "authentication_for_development" in written.getvalue()
    for secret in (SECRET, made, "hunter2hunter2"):
        assert secret not in written.getvalue()
    for variable in ("PROGRESS_AUTH_SECRET", "PROGRESS_TOKEN", "REDIS_URL", "PROGRESS_AUTH_JWKS_URL"):
        assert variable in {name for name, _, _ in describe()}
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({"REDIS_URL": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_settings_do_not_show_what_is_secret() -> None:
    shown = repr(Settings(auth_secret=SECRET, token="a.b.c", database_url="postgresql://u:hunter2@h/d"))
    assert [secret for secret in (SECRET, "a.b.c", "hunter2") if secret in shown] == []


async def test_each_role_has_its_own_limit_and_anonymous_ones_are_told_apart_by_address() -> None:
    limits = RateLimits(person=1, service=2, operator=3, anonymous=1)
    door = Door(Gate(Counting(lambda _token: claims())), limits=limits)
    most_by_role: dict[Role, int] = {"learner": 1, "coach": 1, "service": 2, "operator": 3}
    for role, most in most_by_role.items():
        visitor = Visitor(Principal(role, "same name"), "192.0.2.1")
        elsewhere = Visitor(visitor.principal, "192.0.2.2")
        counted = [await door.count(each) for each in (visitor, *[elsewhere] * most)]
        assert [not each.why_not for each in counted] == [True] * most + [False]
    open_door = Door(limits=limits)
    for address in ("192.0.2.1", "192.0.2.2"):
        counted = [await open_door.count(Visitor(EVERYBODY, address)) for _ in range(2)]
        assert [not each.why_not for each in counted] == [True, False]


async def test_a_limit_is_told_in_the_headers_for_it() -> None:
    door = Door(limits=RateLimits(anonymous=2))
    told = [dict((await door.count(Visitor(EVERYBODY))).headers) for _ in range(3)]
    assert {each[b"ratelimit-policy"] for each in told} == {b'"minute";q=2;w=60'}
    left = [re.fullmatch(rb'"minute";r=(\d+);t=(\d+)', each[b"ratelimit"]) for each in told]
    assert [found and found[1] for found in left] == [b"1", b"0", b"0"]
    assert [b"retry-after" in each for each in told] == [False, False, True]
    assert 55 <= int(told[2][b"retry-after"]) <= 65


async def test_who_need_not_wait_is_counted_just_the_same() -> None:
    door, visitor = Door(limits=RateLimits(anonymous=3)), Visitor(EVERYBODY)
    first = door.count_now(visitor)
    second = (await door.count(visitor)).headers
    third = door.count_now(visitor)
    assert [dict(told or [])[b"ratelimit"].split(b";")[1] for told in (first, second, third)] == [
        b"r=2",
        b"r=1",
        b"r=0",
    ]
    assert door.count_now(visitor) is None
    assert (await door.count(visitor)).why_not


async def test_a_token_is_known_without_waiting_only_while_it_is_trusted() -> None:
    now = [1_000.0]
    gate = Gate(Counting(lambda _token: claims(exp=1_030)), clock=lambda: now[0])
    headers = {"authorization": "Bearer a.b.c"}
    assert gate.known(headers) is None
    principal = await gate.enter(headers)
    assert gate.known(headers) == principal
    now[0] = 1_030.0
    assert gate.known(headers) is None
    with pytest.raises(TokenRefused):
        gate.known({})
    assert Gate().known({}) == EVERYBODY


async def test_by_default_nobody_is_limited_on_the_loopback_address() -> None:
    door = Door()
    assert [(await door.count(Visitor(EVERYBODY))).headers for _ in range(2)] == [[], []]


async def answered(front: ASGIApp, *headers: tuple[bytes, bytes], kind: str = "http") -> Any:
    """(status or close code, headers) of a request to a front."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "method": "GET", "path": "/", "headers": list(headers)}
    await front(scope, receive, send)
    first = sent[0]
    return first.get("status", first.get("code")), dict(first.get("headers", []))


async def _page(scope: Any, receive: Any, send: Any) -> None:
    """Something that says for itself what it may load."""
    own = [(b"content-security-policy", b"default-src 'self'")]
    await send({"type": "http.response.start", "status": 200, "headers": own})
    await send({"type": "http.response.body", "body": b""})


async def test_a_page_keeps_its_own_policy_and_gets_the_other_headers() -> None:
    status, headers = await answered(Front(_page, https_seconds=60))
    assert status == 200
    assert headers[b"content-security-policy"] == b"default-src 'self'"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"strict-transport-security"] == b"max-age=60; includeSubDomains"
    assert b"strict-transport-security" not in (await answered(Front(_page)))[1]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        (b"localhost", True), (b"localhost:8400", True), (b"127.0.0.1:8400", True), (b"[::1]:8400", True),
        (b"LOCALHOST", True), (b"evil.example", False), (b"evil.example:8400", False), (b"", False),
        (b"localhost.evil.example", False), (b"127.0.0.1.evil.example", False), (b"[", False), (b"a@localhost", True),
    ],
)  # fmt: skip
async def test_a_name_that_was_made_to_lead_here_is_no_way_in(kind: str, host: bytes, welcome: bool) -> None:
    front = authority.front_of(Settings())(_page)
    status, _ = await answered(front, (b"host", host), kind=kind)
    assert (status == 200) is welcome
    anywhere = authority.front_of(DEVELOPING)(_page)
    assert (await answered(anywhere, (b"host", host), kind=kind))[0] == 200


async def test_two_tokens_in_one_request_are_none() -> None:
    front = authority.front_of(DEVELOPING)(_page)
    one = (b"authorization", b"Bearer one")
    assert (await answered(front, one))[0] == 200
    assert (await answered(front, one, one))[0] == 400
    assert (await answered(front, one, (b"authorization", b"Bearer two"), kind="websocket"))[0] == 1008
