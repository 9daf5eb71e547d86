"""What is deployed by the files of this repository is what the program knows: settings, commands, paths, recipes."""

import json
import re
import tomllib

import pytest
import yaml

from sso_gate.settings import PREFIX, load_settings, unknown_variables
from tests.architecture.tree import ROOT
from tests.support.proxies import EXAMPLES, IDENTITY_HEADERS, RECIPES, render

PRODUCTION = {"PUBLIC_URL", "BIND", "DATABASE_URL", "REDIS_URL", "SECRET_KEYS", "TRUSTED_PROXIES", "RETURN_HOSTS"}
GATES = ("migrate", "organization", "gate")


def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def kubernetes():
    return list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "sso-gate.yaml").read_text()))


def dockerfile():
    return (ROOT / "deploy" / "Dockerfile").read_text()


def environments():
    config_map = next(part for part in kubernetes() if part["kind"] == "ConfigMap")
    unit = (ROOT / "deploy" / "systemd" / "sso-gate.service").read_text()
    settings_file = (ROOT / "deploy" / "systemd" / "sso-gate.env").read_text()
    return {
        "compose": compose()["services"]["gate"]["environment"],
        "Dockerfile": dict(re.findall(r"(SSO_GATE_\w+)=(\S+)", dockerfile())),
        "kubernetes": config_map["data"],
        "systemd": dict(re.findall(r"^#?(?:Environment=)?(SSO_GATE_\w+)=(.*)$", unit + settings_file, re.MULTILINE)),
    }


@pytest.mark.parametrize("place", ["compose", "Dockerfile", "kubernetes", "systemd"])
def test_every_variable_is_a_setting_with_a_value_that_the_program_takes(place):
    environment = environments()[place]
    assert environment
    assert unknown_variables(environment) == []
    load_settings({name: value for name, value in environment.items() if not name.endswith("_FILE")})


@pytest.mark.parametrize("place", ["compose", "kubernetes", "systemd"])
def test_what_production_needs_is_there(place):
    given = {name.removeprefix(PREFIX).removesuffix("_FILE") for name in environments()[place]}
    assert PRODUCTION - given == set()


def test_the_image_listens_where_it_says_and_is_not_root():
    text = dockerfile()
    port = load_settings(environments()["Dockerfile"]).bind.port
    assert f"EXPOSE {port}" in text
    assert f"127.0.0.1:{port}/health/live" in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "--require-hashes -r requirements.lock" in text
    assert text.count("FROM ") == 2


def test_the_image_is_made_of_files_that_exist_and_are_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(), re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_compose_starts_the_gates_alike_and_closes_them():
    services = compose()["services"]
    assert {services[name]["command"][0] for name in GATES} == {"migrate", "apply", "serve"}
    for name in GATES:
        service = services[name]
        assert service["environment"] == services["gate"]["environment"]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert {"database", "valkey", "nginx", "app", "provider"} <= services.keys()


def test_compose_publishes_on_loopback_alone():
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_compose_mounts_files_that_exist():
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source


def test_compose_trusts_its_own_network_alone():
    subnet = compose()["networks"]["default"]["ipam"]["config"][0]["subnet"]
    settings = load_settings(environments()["compose"])
    assert [str(network) for network in settings.trusted_proxies] == [subnet]


def test_composes_organization_and_provider_agree():
    organization = tomllib.loads((ROOT / "deploy" / "compose" / "acme.toml").read_text())
    provider = json.loads((ROOT / "deploy" / "compose" / "provider.json").read_text())
    connection, client = organization["connections"][0], provider["clients"][0]
    settings = load_settings(environments()["compose"])
    assert connection["issuer"] == f"http://{provider['host']}:{provider['port']}"
    assert (connection["client_id"], connection["client_secret"]) == (client["client_id"], client["client_secret"])
    assert client["redirect_uris"] == [f"{settings.origin}/sso/oidc/{connection['id']}/callback"]
    assert {member["email"] for member in organization["members"]} <= {p["email"] for p in provider["people"]}


def test_kubernetes_runs_the_same_closed_container_twice():
    deployment = next(part for part in kubernetes() if part["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] >= 2
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["enableServiceLinks"] is False  # a service named sso-gate would set SSO_GATE_PORT and the like
    for container in pod["initContainers"] + pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["envFrom"] == [{"configMapRef": {"name": "sso-gate"}}]
    probes = {pod["containers"][0][f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
    assert probes == {"/health/live", "/health/ready"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_recipe_in_deploy_is_what_the_template_renders(name):
    recipe, values = EXAMPLES[name]
    assert (ROOT / "deploy" / name).read_text() == render(recipe, **values)


@pytest.mark.parametrize("recipe", sorted(path.name for path in RECIPES.glob("*.j2")))
def test_a_recipe_names_every_identity_header_and_the_gates_cookie(recipe):
    text = next(render(name, **values) for name, values in EXAMPLES.values() if name == recipe)
    for header in IDENTITY_HEADERS:
        assert header.lower() in text.lower(), header
    assert "__Host-sso_gate" in text or "Cookie" in text
    assert "/.sso-gate/" in text
    assert "/check" in text
