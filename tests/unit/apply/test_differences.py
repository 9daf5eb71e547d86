"""What applying changes, in words: which keys of a connection differ, and never what a secret is."""

from dataclasses import replace

from sso_gate.apply.differences import of_connection
from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings, SamlSettings

SETTINGS = OidcSettings(issuer="https://login.example", client_id="c", client_secret="a-secret")
BEFORE = Connection("x", "org_1", "X", True, 1, AttributeMap(), {"staff": "user"}, SETTINGS)


def test_the_keys_of_a_connection_that_differ_are_named_without_their_values():
    after = replace(
        BEFORE,
        revision=2,
        roles={"staff": "admin"},
        settings=replace(SETTINGS, client_id="other", client_secret="another-secret"),
    )
    assert of_connection(BEFORE, after) == "connection x changed: roles, client_id, client_secret"


def test_another_protocol_is_named():
    after = replace(BEFORE, settings=SamlSettings("https://idp.example", "https://idp.example/sso", ()))
    assert of_connection(BEFORE, after) == "connection x changed: protocol"
