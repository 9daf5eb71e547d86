"""The program of `canaille_op.py`: serves Canaille on a free loopback port until its stdin closes."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import wsgiref.simple_server
from typing import Any

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # it would take plain http on loopback for a mistake

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import JWKRegistry


def main() -> None:
    """Start with the people of the first argument (JSON: a list of user, name, email, password, groups)."""
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, _not_yet)
    app = create_app(config=_configuration(server.server_port))
    with app.app_context():
        for person in json.loads(sys.argv[1]):
            _add(person)
    server.set_app(app)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.stdout.write(json.dumps({"port": server.server_port}) + "\n")
    sys.stdout.flush()
    server.serve_forever()


def _not_yet(_: object, __: object) -> list[bytes]:
    """Stand in for the application, whose configuration names the port that is being bound."""
    return []


def _configuration(port: int) -> dict[str, Any]:
    key = JWKRegistry.generate_key("RSA", 2048)
    key.ensure_kid()
    return {
        "ENV_FILE": None,
        "SECRET_KEY": secrets.token_hex(32),
        "PREFERRED_URL_SCHEME": "http",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}}},
        "CANAILLE_OIDC": {"DYNAMIC_CLIENT_REGISTRATION_OPEN": True, "ACTIVE_JWKS": [key.as_dict(private=True)]},
    }


def _add(person: dict[str, Any]) -> None:
    user = models.User(
        user_name=person["user"],
        formatted_name=person["name"],
        family_name=person["name"],
        emails=[person["email"]],
        password=person["password"],
    )
    Backend.instance.save(user)
    for name in person["groups"]:
        Backend.instance.save(models.Group(display_name=name, members=[user]))


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
