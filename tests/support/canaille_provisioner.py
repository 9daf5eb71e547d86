"""Canaille as a provisioning client: what is saved in it, it tells the gate by SCIM, and nobody here wrote how.

Run as a program it is Canaille itself, on the older SCIM client that it works with; `CanailleProvisioner` is our end.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.servers import stop

OLDER_CLIENT = Path(sys.prefix) / "canaille-scim"  # made by `make test` from canaille_scim.txt
ROOT = Path(__file__).parents[2]


class CanailleProvisioner:
    """One Canaille, which provisions into this gate."""

    def __init__(self, address: str, token: str) -> None:
        """Start it and wait until it has begun."""
        paths = os.pathsep.join([str(OLDER_CLIENT), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__, address, token],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def tell(self, kind: str, name: str, **attributes: Any) -> None:
        """Save somebody or something, or delete it where no attributes are given; the gate has been told then."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([kind, name, attributes]) + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer == "done\n", f"Canaille said {answer!r}"

    def close(self) -> None:
        stop(self._process)


def main(address: str, token: str) -> None:
    """Save and delete what is read from stdin, a line of JSON each."""
    from canaille import create_app
    from canaille.scim import casting

    # This client sends the version of a resource as If-Match, and Canaille gives it a version of its own making.
    casting.make_etag = lambda _: None
    configuration = {
        "ENV_FILE": None,
        "SECRET_KEY": "x" * 32,
        "SERVER_NAME": "canaille.localhost",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False},
        "CANAILLE_OIDC": {"TRUSTED_DOMAINS": ["127.0.0.1"]},
        "CANAILLE_SCIM": {"ENABLE_CLIENT": True},
    }
    said = os.dup(1)
    os.dup2(2, 1)  # its log goes to stdout
    with create_app(config=configuration).app_context():
        _connect(address, token)
        os.write(said, b"done\n")
        for line in sys.stdin:
            _change(*json.loads(line))
            os.write(said, b"done\n")


def _connect(address: str, token: str) -> None:
    """Make the gate a client of Canaille, and the gate's token the one that Canaille shows it."""
    from canaille.app import models
    from canaille.backends import Backend

    gate = models.Client(client_id="gate", client_name="gate", client_uri=f"{address}/scim/v2")
    Backend.instance.save(gate)
    values = {"audience": [gate], "client": gate, "scope": ["openid"], "lifetime": 3600}
    now = datetime.datetime.now(datetime.UTC)
    Backend.instance.save(
        models.Token(token_id="gate", access_token=token, refresh_token="none", subject=None, issue_date=now, **values)
    )


def _change(kind: str, name: str, attributes: dict[str, Any]) -> None:
    from canaille.app import models
    from canaille.backends import Backend

    model, key = (models.User, "user_name") if kind == "user" else (models.Group, "display_name")
    found = Backend.instance.get(model, **{key: name}) or model(**{key: name})
    if not attributes:
        Backend.instance.delete(found)
        return
    if "members" in attributes:
        attributes["members"] = [Backend.instance.get(models.User, user_name=one) for one in attributes["members"]]
    locked = {"lock_date": datetime.datetime.now(datetime.UTC)} if attributes.pop("locked", False) else {}
    Backend.instance.update(found, **attributes, **locked)
    Backend.instance.save(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
