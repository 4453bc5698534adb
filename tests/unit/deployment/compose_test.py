"""The compose file agrees with the settings and with `make run`. No container engine is needed."""

import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import environ
import pytest
import yaml
from django.core.management import get_commands

from jobrec_site.local.programs import APPLICATION, Ports, application

ROOT = Path(__file__).resolve().parents[3]
SERVERS = {"postgres", "valkey", "valkey-cache", "migrate", "proxy"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def settings_variables() -> dict[str, str]:
    """Every variable that the settings read, with its default as it is written there."""
    text = (ROOT / "jobrec_site" / "settings.py").read_text()
    return dict(re.findall(r'env(?:\.\w+)?\(\s*"([A-Z0-9_]+)", default=(.+?)(?:\)|, \w+=)', text))


def example_variables() -> dict[str, str]:
    """The variables of .env.example, read with every assignment uncommented."""

    class Listed(environ.Env):
        ENVIRON: ClassVar[dict[str, str]] = {}

    text = (ROOT / ".env.example").read_text()
    Listed.read_env(StringIO(re.sub(r"^#(?=[A-Z0-9_]+=)", "", text, flags=re.MULTILINE)))
    return Listed.ENVIRON


def test_env_example_lists_every_variable_with_its_default() -> None:
    read, listed = settings_variables(), example_variables()
    read_by_others = {"FLOWER_BASIC_AUTH", "POSTGRES_PASSWORD"}  # by Flower and by the compose file
    assert set(listed) - read_by_others == set(read) - {"JOBREC_PROCESS"}
    for name in listed.keys() & read.keys():
        default = read[name]
        if re.fullmatch(r"[\d_.]+", default):
            assert float(listed[name]) == float(default.replace("_", "")), name
        elif re.fullmatch(r'"[^"]*"', default):
            assert listed[name] == default.strip('"'), name


def test_compose_has_a_service_for_every_process_of_make_run(compose: dict[str, Any]) -> None:
    services = set(compose["services"]) - SERVERS - {"embed-worker-gpu"}
    assert services == set(APPLICATION)


def test_compose_services_run_the_commands_of_make_run(compose: dict[str, Any]) -> None:
    def comparable(arguments: list[str]) -> list[str]:
        """The command without the path of the interpreter and without addresses, which differ on purpose."""
        words = [Path(word).name for word in arguments]
        words = [word for word in words if word not in {"python", "-m"} and not word.startswith("python3")]
        return [word for word in words if not re.search(r"address|port|host|^\d+(\.\d+){3}$|^\d+$|^\$", word)]

    for program in application(Ports()):
        service = compose["services"][program.name]
        assert comparable(service["command"]) == comparable(program.arguments), program.name


def test_compose_uses_only_management_commands_that_exist(compose: dict[str, Any]) -> None:
    known = get_commands()
    for name, service in compose["services"].items():
        words = service.get("command", []) + service.get("healthcheck", {}).get("test", [])
        if "manage.py" in words:
            assert words[words.index("manage.py") + 1] in known, name


def test_compose_sets_only_variables_that_the_settings_read(compose: dict[str, Any]) -> None:
    read = set(settings_variables()) | {"FLOWER_BASIC_AUTH"}  # Flower itself reads it
    for name, service in compose["services"].items():
        if name not in SERVERS - {"migrate"}:
            assert set(service["environment"]) <= read, name


def test_compose_addresses_name_services_and_their_ports(compose: dict[str, Any]) -> None:
    environment = compose["x-environment"]
    for address, bind in (
        ("EMBEDDING_ADDRESS", "EMBEDDING_BIND"),
        ("INVALIDATION_ADDRESSES", "INVALIDATION_BIND"),
    ):
        host, port = environment[address].split(":")
        assert host in compose["services"]
        assert environment[bind] == f"0.0.0.0:{port}"
    for url in ("DATABASE_URL", "REDIS_URL", "REDIS_CACHE_URL"):
        [host] = re.findall(r"([\w-]+):\d+", environment[url].rpartition("@")[2])
        assert host in compose["services"]


def test_every_compose_service_has_a_health_check(compose: dict[str, Any]) -> None:
    unchecked = {name for name, service in compose["services"].items() if "healthcheck" not in service}
    assert unchecked == {"migrate", "beat", "cache-warmer"}


def test_gpu_profile_differs_from_the_embed_worker_only_in_the_device(compose: dict[str, Any]) -> None:
    cpu, gpu = (compose["services"][name] for name in ("embed-worker", "embed-worker-gpu"))
    assert gpu["profiles"] == ["gpu"]
    assert gpu["environment"] == cpu["environment"] | {"EMBEDDING_DEVICE": "cuda"}
    assert gpu["command"][: len(cpu["command"])] == cpu["command"]
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_web_health_check_uses_a_host_that_is_always_allowed(compose: dict[str, Any]) -> None:
    [host] = re.findall(r"http://([^:/]+)", compose["services"]["web"]["healthcheck"]["test"][-1])
    assert host in re.sub(r"\$\{[^}]*\}", "", compose["x-environment"]["ALLOWED_HOSTS"]).split(",")


def test_compose_publishes_only_the_proxy_to_other_machines(compose: dict[str, Any]) -> None:
    """Granian has no timeout for request bodies, so a slow client would block its threads."""
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert set(published) == {"proxy", "flower"}
    assert published["flower"][0].startswith("127.0.0.1:")
    assert compose["services"]["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith(
        "${FLOWER_BASIC_AUTH:?"
    )
    configuration = compose["configs"]["proxy"]["content"]
    assert "server web:8080;" in configuration
    assert "proxy_request_buffering off" not in configuration
    assert "$" not in configuration.replace("$$", "")  # otherwise compose would interpolate them


def test_compose_broker_never_evicts_keys(compose: dict[str, Any]) -> None:
    command = shlex.join(compose["services"]["valkey"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command
