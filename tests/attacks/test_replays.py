"""A proof is used once: on every worker, at every connection, in every organization, and with an empty Redis."""

from __future__ import annotations

from functools import partial

from tests.integration.gate import Organization


def test_replay_in_the_same_browser(scene, jar):
    pending = scene.begin(jar)
    encoded = scene.world(pending).message().encoded()
    assert scene.post(jar, encoded, relay_state=pending.relay_state).status == 303
    scene.refused(lambda: scene.post(jar, encoded, relay_state=pending.relay_state), "replayed")


def test_replay_of_a_redirect_with_its_code(scene, jar):
    pending = scene.begin(jar, scene.oidc)
    params = scene.forge.log_in(pending.url)
    assert scene.callback(jar, params).status == 303
    scene.refused(lambda: scene.callback(jar, params), "replayed", connection=scene.oidc)


def test_replay_into_another_login_under_way(scene, jar):
    first, second = scene.begin(jar), scene.begin(jar)
    encoded = scene.world(first).message().encoded()
    assert scene.post(jar, encoded, relay_state=first.relay_state).status == 303
    scene.refused(lambda: scene.post(jar, encoded, relay_state=second.relay_state), "request_mismatch")
    scene.finish(jar, second)


def test_a_stolen_answer_in_the_attackers_browser_uses_nothing_up(scene, jar, other_jar):
    victim = scene.begin(jar)
    encoded = scene.world(victim).message().encoded()
    scene.begin(other_jar)
    scene.refused(lambda: scene.post(other_jar, encoded, relay_state=victim.relay_state), "request_unknown")
    assert scene.post(jar, encoded, relay_state=victim.relay_state).status == 303, "the victim's own login goes on"


def test_a_stolen_answer_in_the_attackers_own_login(scene, jar, other_jar):
    victim, attacker = scene.begin(jar), scene.begin(other_jar)
    encoded = scene.world(victim).message().encoded()
    scene.refused(lambda: scene.post(other_jar, encoded, relay_state=attacker.relay_state), "request_mismatch")
    assert scene.post(jar, encoded, relay_state=victim.relay_state).status == 303


def test_cross_connection_replay(scene, jar):
    pending, other = scene.begin(jar), scene.begin(jar, scene.accept)
    encoded = scene.world(pending).message(in_response_to=other.request_id).encoded()
    scene.refused(
        lambda: scene.post(jar, encoded, relay_state=other.relay_state, connection=scene.accept),
        "destination_mismatch",
        connection=scene.accept,
    )
    scene.finish(jar, pending)


def test_cross_organization_replay(scene, jar):
    """The same provider, key and person at both organizations: only the addresses in the message differ."""
    ours, theirs = scene.begin(jar), scene.begin(jar, scene.rivals)
    there = scene.world(theirs)
    for reason, changes in (
        ("audience_mismatch", {"destination": None}),
        ("audience_mismatch", {"destination": there.acs, "recipient": there.acs}),
        ("recipient_mismatch", {"destination": there.acs, "audience": there.entity_id}),
    ):
        encoded = scene.world(ours).message(in_response_to=theirs.request_id, **changes).encoded()
        send = partial(scene.post, jar, encoded, relay_state=theirs.relay_state, connection=scene.rivals)
        scene.refused(send, reason, connection=scene.rivals)
    scene.finish(jar, ours)


def test_unsolicited_answer_is_accepted_once(scene, jar, other_jar):
    encoded = (
        scene.world(connection=scene.accept).message(name_id="una@acme.example", attributes=_mail("una")).encoded()
    )
    assert scene.post(jar, encoded, relay_state="https://evil.example/", connection=scene.accept).status == 303
    scene.refused(
        lambda: scene.post(other_jar, encoded, relay_state="", connection=scene.accept),
        "replayed",
        connection=scene.accept,
    )


def _mail(name):
    return {"mail": [f"{name}@acme.example"]}


def test_a_refused_answer_does_not_become_good_when_a_seat_becomes_free(scene, jar):
    """Used up before the seat decision: what was refused for want of a seat stays refused."""
    full = Organization(seats=2)
    full.add_member("cai")
    full.files["idp.pem"] = scene.keys["idp"].certificate
    connection = scene.add_saml(full, "saml")
    scene.gate.applied(full)
    holder = scene.begin(jar, connection)
    scene.finish(jar, holder, name_id=full.email("cai"), attributes={})
    email = full.email("bea")
    pending = scene.begin(jar, connection)
    message = scene.world(pending).message(name_id=email, attributes={"mail": [email]})
    page = scene.post(jar, message.encoded(), relay_state=pending.relay_state, connection=connection)
    assert "/denied/" in page.location
    released = scene.gate.run("members", "release-seat", "--org", full.slug, "--yes", full.email("cai"))
    assert released.code == 0, released.err
    send = partial(scene.post, jar, message.encoded(), relay_state=pending.relay_state, connection=connection)
    scene.refused(send, "replayed", connection=connection)
