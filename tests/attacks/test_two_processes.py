"""What one process has used up, counted or lost counts for all: a gate of two, with a Redis that is emptied."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2

from tests.attacks.scene import SESSION, new_address
from tests.support.browser_jar import BrowserJar


def _mail(name):
    return {"mail": [f"{name}@acme.example"]}


def test_replay_on_another_worker_at_the_same_time(two_workers):
    scene = two_workers
    with BrowserJar() as jar:
        pending = scene.begin(jar)
        encoded = scene.world(pending).message().encoded()
        login = jar.cookie("__Host-sso_gate_login", "gate.localhost")

        def post(_):
            # A client of its own for each: new connections, so that both processes get some.
            answer = httpx2.post(
                f"{scene.gate.address}/sso/saml/{scene.saml}/acs",
                data={"SAMLResponse": encoded, "RelayState": pending.relay_state},
                headers={"Host": scene.gate.host, "Cookie": f"{login.name}={login.value}", **new_address()},
                timeout=30,
                verify=False,  # plain HTTP: making a TLS context would take longer than the request
            )
            return answer.status_code, SESSION in answer.headers.get("set-cookie", "")

        before = scene.counts()
        with scene.bounded(), ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(post, range(16)))
    assert scene.counts().events == before.events + 16
    assert sorted(answers) == [(303, True), *[(400, False)] * 15]
    denied = scene.events(outcome="denied")[-15:]
    assert {event["reason"] for event in denied} == {"replayed"}


def test_replay_with_an_empty_redis(two_workers, attack_valkey, jar, other_jar):
    """The durable guard: the audit record knows every proof that was used, whatever Redis forgets."""
    scene = two_workers
    encoded = (
        scene.world(connection=scene.accept).message(name_id="ivo@acme.example", attributes=_mail("ivo")).encoded()
    )
    assert scene.post(jar, encoded, relay_state="", connection=scene.accept).status == 303
    attack_valkey.flush()
    send = partial(scene.post, other_jar, encoded, relay_state="", connection=scene.accept)
    scene.refused(send, "replayed", connection=scene.accept)
    assert not other_jar.cookie(SESSION, "gate.localhost")


def test_a_solicited_answer_after_redis_was_emptied_is_nobodys(two_workers, attack_valkey, jar):
    scene = two_workers
    pending = scene.begin(jar)
    encoded = scene.world(pending).message().encoded()
    attack_valkey.flush()
    scene.refused(lambda: scene.post(jar, encoded, relay_state=pending.relay_state), "request_unknown")
    scene.finish(jar, scene.begin(jar))


def test_login_rate_beyond_it_every_message_is_429(two_workers):
    """A low limit, counted over both processes: what comes too often is not read, and the client hears so."""
    gate, connection = two_workers.gate, two_workers.saml
    with two_workers.harmless(events=8):
        sent = [
            gate.client.post(
                f"/sso/saml/{connection}/acs", data={"SAMLResponse": "x"}, headers={"Host": gate.host, **headers}
            )
            for headers in [new_address()] * 8
        ]
    assert [answer.status_code for answer in sent] == [400] * 5 + [429] * 3
    assert sent[-1].headers["retry-after"] == "1800"
    begun = gate.client.get(f"/login/{connection}", headers={"Host": gate.host, **new_address()})
    assert begun.status_code == 302, "another client is not held up"
    network = [f"2001:db8:1:2::{number:x}" for number in range(1, 8)]
    codes = [
        gate.client.get(f"/login/{connection}", headers={"Host": gate.host, "X-Forwarded-For": one}).status_code
        for one in network
    ]
    assert codes == [302] * 5 + [429] * 2, "a network of one customer is one client"


def test_login_rate_an_openid_providers_messages_count_too(two_workers):
    gate, at = two_workers.gate, f"/sso/oidc/{two_workers.oidc}"
    for method, path, body in (("GET", "callback?state=x", ""), ("POST", "backchannel-logout", "logout_token=x")):
        headers = {"Host": gate.host, "Content-Type": "application/x-www-form-urlencoded", **new_address()}
        with two_workers.harmless(events=7):
            sent = [gate.client.request(method, f"{at}/{path}", content=body, headers=headers) for _ in range(7)]
        assert [answer.status_code for answer in sent] == [400] * 5 + [429] * 2
