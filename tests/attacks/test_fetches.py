"""Where the gate can be made to go: metadata, discovery and keys at addresses that somebody else chose."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from ipaddress import ip_network

import pytest

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import Expected, Fetcher
from tests.attacks.scene import new_address
from tests.integration.gate import Organization
from tests.support.oidc_forge import DISCOVERY, Forge

PLACES = [
    "http://169.254.169.254",
    "https://169.254.169.254",
    "http://10.0.0.1",
    "https://192.168.0.1:8443",
    "http://[::ffff:169.254.169.254]",
    "http://[fd00:ec2::254]",
    "https://0.0.0.0",
    "https://[::]",
    "file:///etc",
    "gopher://127.0.0.1",
    "http://user:word@127.0.0.1",
]

ONCE_ALLOWED = {
    "http://169.254.169.254": "169.254.169.254/32",
    "http://10.0.0.1": "10.0.0.0/8",
    "https://192.168.0.1:8443": "192.168.0.0/16",
    "http://[fd00:ec2::254]": "fd00:ec2::254/128",
}

ODD = {
    "issuer": "https://evil.example",
    "token_endpoint": "http://169.254.169.254/token",
    "jwks_uri": "file:///etc/passwd",
    "authorization_endpoint": "javascript:alert(1)",
}


def reaching(organization, places):
    """Add connections whose issuer is one of the places; return their names."""
    for number, place in enumerate(places):
        organization.connections.append(
            f'\n[[connections]]\nid = "{organization.slug}-{number}"\nprotocol = "oidc"\nissuer = "{place}"\n'
            'client_id = "gate"\nclient_secret = "secret"\n'
        )
    return {place: f"{organization.slug}-{number}" for number, place in enumerate(places)}


@pytest.fixture(scope="module")
def placed(_scene):
    """Return connections that were saved when their networks were still allowed."""
    organization = Organization()
    found = reaching(organization, ONCE_ALLOWED)
    ran = _scene.gate.run(
        "apply",
        str(organization.write(_scene.gate.folder)),
        settings={"ALLOW_PRIVATE_NETWORKS": ",".join(ONCE_ALLOWED.values())},
    )
    assert ran.code == 0, ran.err
    return found


@pytest.mark.parametrize("place", ONCE_ALLOWED)
def test_ssrf_by_discovery(scene, placed, jar, place):
    address = f"{scene.gate.origin}/login/{placed[place]}"
    scene.refused(lambda: jar.get(address, headers=new_address()), "discovery_refused", connection=placed[place])


@pytest.mark.parametrize("place", PLACES)
def test_ssrf_by_an_issuer_when_a_connection_is_saved(scene, place):
    organization = Organization()
    reaching(organization, [place])
    with scene.harmless():
        ran = scene.gate.apply(organization)
    assert ran.code != 0
    assert "connections.0.issuer: discovery_refused" in ran.err
    assert not scene.member(organization.owner), "nothing of the file was applied"


def test_ssrf_by_metadata_when_a_connection_is_saved(scene):
    organization = Organization()
    organization.connections.append(
        f'\n[[connections]]\nid = "{organization.slug}-x"\nprotocol = "saml"\nmetadata_url = "{PLACES[0]}/metadata"\n'
    )
    ran = scene.gate.apply(organization)
    assert ran.code != 0
    assert "discovery_refused" in ran.err
    assert not scene.member(organization.owner), "nothing of the file was applied"


@pytest.mark.parametrize("place", PLACES)
async def test_ssrf_by_any_fetch(place):
    """Every fetch of the gate goes through this client: metadata, discovery, keys, tokens."""
    fetcher = Fetcher((ip_network("127.0.0.0/8"),))
    with pytest.raises(Refused) as refused:
        await fetcher.get(f"{place}/metadata", expected=Expected(Reason.DISCOVERY_REFUSED))
    assert refused.value.reason is Reason.DISCOVERY_REFUSED
    await fetcher.aclose()


@pytest.fixture(scope="module")
def bent(_scene):
    """Return connections of providers each of which has one odd word in its discovery document."""
    organization, forges = Organization(), {}
    with ExitStack() as stack:
        for number, word in enumerate(ODD):
            forge = forges[word] = stack.enter_context(Forge())
            forge.bend(DISCOVERY, {word: ODD[word]})
            organization.connections.append(
                f'\n[[connections]]\nid = "{organization.slug}-{number}"\nprotocol = "oidc"\n'
                f'issuer = "{forge.issuer}"\nclient_id = "gate"\nclient_secret = "{forge.client_secret}"\n'
            )
        _scene.gate.applied(organization)
        yield {word: (f"{organization.slug}-{number}", forges[word]) for number, word in enumerate(ODD)}


@pytest.mark.parametrize("word", ODD)
def test_ssrf_by_an_odd_word_in_a_discovery_document(scene, bent, jar, word):
    connection, forge = bent[word]
    send, reason = (
        partial(jar.get, f"{scene.gate.origin}/login/{connection}", headers=new_address()),
        "discovery_refused",
    )
    if word == "token_endpoint":  # it is checked when it is used
        send, reason = partial(scene.callback, jar, forge.log_in(send().location), connection), "token_refused"
    scene.refused(send, reason, connection=connection)


def test_ssrf_by_an_endpoint_when_an_owner_saves_a_connection(scene, jar):
    scene.forge.person |= {"sub": "the-owner", "email": scene.acme.owner}
    scene.finish(jar, scene.begin(jar, scene.oidc))
    with Forge() as forge:
        forge.bend(DISCOVERY, {"token_endpoint": "http://10.0.0.1/token"})
        typed = {"id": "odd", "name": "Odd", "issuer": forge.issuer, "client_id": "gate", "client_secret": "secret"}
        at = f"{scene.gate.origin}/settings/access"
        with scene.harmless():
            page = jar.post(f"{at}/_new/oidc", typed, initiator=f"{at}/_new/oidc")
    assert page.status == 422
    assert 'href="#issuer"' in page.text
    assert forge.count(DISCOVERY) == 1


async def test_dns_rebinding_a_name_is_asked_once_and_the_checked_address_is_connected_to(scene):
    """A name that is allowed when it is checked, and another address when it is asked again."""
    answers, asked = iter(["127.0.0.1", "127.0.0.2"]), []

    def resolve(host, _port):
        asked.append(host)
        return [next(answers)]

    fetcher = Fetcher((ip_network("127.0.0.1/32"),), resolve=resolve)
    port, hits = scene.canary.url.split(":")[2].partition("/")[0], scene.canary.hits
    expected = Expected(Reason.DISCOVERY_REFUSED)
    with pytest.raises(Refused) as first:  # the canary hangs up: reached, at the checked address, by one question
        await fetcher.get(f"http://rebinding.example:{port}/", expected=expected)
    assert (first.value.reason, len(asked)) == (Reason.PROVIDER_UNREACHABLE, 1)
    assert scene.canary.hits == hits + 1
    with pytest.raises(Refused) as second:  # the name has another address now: checked again at each connect
        await fetcher.get(f"http://rebinding.example:{port}/", expected=expected)
    assert (second.value.reason, len(asked)) == (Reason.DISCOVERY_REFUSED, 2)
    assert scene.canary.hits == hits + 1
    await fetcher.aclose()


async def test_dns_rebinding_one_bad_address_among_good_ones_refuses_all():
    fetcher = Fetcher(resolve=lambda _host, _port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(Refused) as refused:
        await fetcher.get("https://rebinding.example/", expected=Expected(Reason.DISCOVERY_REFUSED))
    assert refused.value.reason is Reason.DISCOVERY_REFUSED
    await fetcher.aclose()
