"""The four reverse proxies, each running its recipe from `sso_gate/cli/proxy_recipes` on a loopback port."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import jinja2

from tests.support.servers import LOOPBACK, program, stop, wait_for_port

RECIPES = Path(__file__).parents[2] / "sso_gate" / "cli" / "proxy_recipes"
APP_HOST = "app.localhost"
IDENTITY_HEADERS = tuple(
    f"X-SSO-Gate-{name}" for name in ("User", "Email", "Name", "Organization", "Role", "Groups", "Assertion")
)
_NGINX = """daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {recipe};
}}
"""


def render(recipe: str, **values: Any) -> str:
    """Return a recipe with its values; one that a recipe asks for and does not get is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(RECIPES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(recipe).render(identity_headers=IDENTITY_HEADERS, **values)


def nginx_command(folder: Path, port: int, **upstreams: str) -> list[str]:
    recipe = folder / "app.conf"
    recipe.write_text(render("nginx.conf.j2", app_host=APP_HOST, listen=f"{LOOPBACK}:{port}", **upstreams))
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, recipe=recipe))
    return ["-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def traefik_command(folder: Path, port: int, **upstreams: str) -> list[str]:
    values = {"app_host": APP_HOST, "app_name": "app", "entry_point": "web", "tls": False}
    (folder / "dynamic.yaml").write_text(render("traefik.yaml.j2", **values, **upstreams))
    return [
        f"--providers.file.filename={folder / 'dynamic.yaml'}",
        f"--entrypoints.web.address={LOOPBACK}:{port}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]


def caddy_command(folder: Path, port: int, **upstreams: str) -> list[str]:
    options = "{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n}\n"
    site = f"http://{APP_HOST}:{port}"
    (folder / "Caddyfile").write_text(options + render("Caddyfile.j2", app_host=APP_HOST, site=site, **upstreams))
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def envoy_command(folder: Path, port: int, **upstreams: str) -> list[str]:
    values = {"app_host": APP_HOST, "app_name": "app", "listen_address": LOOPBACK, "listen_port": port}
    (folder / "envoy.yaml").write_text(render("envoy.yaml.j2", **values, **upstreams))
    return ["-c", str(folder / "envoy.yaml"), "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]


def _wait_for_routes(port: int, timeout_seconds: float = 10) -> None:
    """Return once the application's host is known: Traefik listens before it has read its recipe."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        answer = httpx2.get(f"http://{LOOPBACK}:{port}/", headers={"Host": f"{APP_HOST}:{port}"})
        if answer.status_code != httpx2.codes.NOT_FOUND:
            return
        time.sleep(0.05)


_ON_LOOPBACK = {"gate_upstream": "127.0.0.1:8080", "app_upstream": "127.0.0.1:3000"}
_APP = {"app_host": "app.example.com", "app_name": "app", **_ON_LOOPBACK}
# Rendered recipes that the repository holds for reading: path below deploy/ -> recipe and values.
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "nginx/app.example.com.conf": ("nginx.conf.j2", {**_APP, "listen": "443 ssl"}),
    "traefik/app.example.com.yaml": ("traefik.yaml.j2", {**_APP, "entry_point": "websecure", "tls": True}),
    "caddy/Caddyfile": ("Caddyfile.j2", {**_APP, "site": "app.example.com"}),
    "envoy/envoy.yaml": ("envoy.yaml.j2", {**_APP, "listen_address": "0.0.0.0", "listen_port": 8000}),
    "compose/app.conf": (
        "nginx.conf.j2",
        {"app_host": "app.localhost", "listen": "8080", "gate_upstream": "gate:8080", "app_upstream": "app:8080"},
    ),
}


def write_examples() -> None:
    """Write the rendered recipes into deploy/; `python -m tests.support.proxies` does it after a recipe has changed."""
    for name, (recipe, values) in EXAMPLES.items():
        path = RECIPES.parents[2] / "deploy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(recipe, **values))


COMMANDS = {"nginx": nginx_command, "traefik": traefik_command, "caddy": caddy_command, "envoy": envoy_command}


@contextmanager
def running_proxy(name: str, *, folder: Path, port: int, gate_upstream: str, app_upstream: str) -> Iterator[str]:
    """Give the proxy's address while it serves `app.localhost` by its recipe; upstreams are `host:port`."""
    arguments = COMMANDS[name](folder, port, gate_upstream=gate_upstream, app_upstream=app_upstream)
    log = folder / "output"
    with log.open("wb") as output:
        executable = program(name)
        assert executable, f"{name} is not installed"
        process = subprocess.Popen(
            [executable, *arguments], stdout=output, stderr=output, cwd=folder, env={"HOME": str(folder)}
        )
    try:
        wait_for_port(port, process)
        _wait_for_routes(port)
        yield f"http://{APP_HOST}:{port}"
    finally:
        stop(process)


if __name__ == "__main__":
    write_examples()
