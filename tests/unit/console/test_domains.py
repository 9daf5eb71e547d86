"""An owner proves a domain by a record in a real DNS server; nobody proves another one's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from sso_gate.settings import Settings
from tests.support.gates import Migrated
from tests.support.name_server import NameServer
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate, plain
from tests.unit.console.test_numbers import done

PATH = "/settings/access/_domains"


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture
def near(valkey: ThrowAwayValkey, migrated: Migrated, tmp_path: Path, dns: NameServer) -> Iterator[Gate]:
    settings = Settings(
        public_url="https://gate.example",
        database_url=migrated.sqlite(tmp_path),
        redis_url=valkey.url,
        secret_keys=("k" * 43,),
        dns_servers=(dns.address,),
    )
    with Gate(settings, tmp_path).serving() as gate:
        yield gate


def record_in(page):
    return tuple(re.search(f'<code id="record-{part}">([^<]+)<', page)[1] for part in ("name", "value"))


def test_a_domain_is_proven_by_its_record_and_stays_when_the_file_is_applied_again(near, dns):
    with near.browser("ana") as ana:
        page = ana.get(PATH, params={"domain": "Filial.Example."}).text
        name, value = record_in(page)
        assert name == "_sso-gate.filial.example"
        missing = ana.post(PATH, data={"domain": "filial.example"})
        assert missing.status_code == 409
        assert "DNS knows no TXT record" in missing.text
        dns.records["filial.example"] = [value]
        assert (
            "It was found at filial.example, and is expected at"
            in ana.post(PATH, data={"domain": "filial.example"}).text
        )
        dns.records[name] = ["v=spf1 -all", "sso-gate=0000"]
        assert "sso-gate=0000" in ana.post(PATH, data={"domain": "filial.example"}).text
        assert "filial.example" not in ana.get("/settings/access").text
        dns.records[name] = ["v=spf1 -all", value]
        proven = ana.post(PATH, data={"domain": "FILIAL.example"})
        assert (proven.status_code, proven.headers["location"]) == (303, "/settings/access#domains")
        assert ana.post(PATH, data={"domain": "filial.example"}).status_code == 422, "it is there already"

        async def applied(runtime, _organization):
            wanted, text = read_file(near.file)
            again = await apply(runtime, wanted, folder=near.file.parent, text=text, name="acme.toml")
            assert again.changes == ()

        done(near, applied)
        assert "<code>filial.example</code>" in ana.get("/settings/access").text
        told = ana.get("/settings/audit?action=domain.verify").text
        assert ("<code>domain.verify</code>" in told, "1 event ·" in plain(told)) == (True, True)
        assert ana.post(f"{PATH}/remove", data={"domain": "acme.example"}).status_code == 404, "the file lists it"
        assert ana.post(f"{PATH}/remove", data={"domain": "filial.example"}).status_code == 303
        assert "<code>filial.example</code>" not in ana.get("/settings/access").text


def test_another_organizations_record_proves_nothing_and_a_broken_server_is_said(near, dns):
    with near.browser("ana") as ana:
        first, _ = record_in(ana.get(PATH, params={"domain": "a.example"}).text)
        _, second = record_in(ana.get(PATH, params={"domain": "b.example"}).text)
        dns.records[first] = [second]
        assert ana.post(PATH, data={"domain": "a.example"}).status_code == 409, "a value is for one domain alone"
        dns.broken = True
        assert "No name server answered in time." in ana.post(PATH, data={"domain": "a.example"}).text


def test_what_is_no_domain_is_said_at_the_field(ana):
    for domain in ("nonsense", "a b.example", "-x.example", "x" * 70 + ".example", "a..example"):
        for answer in (ana.get(PATH, params={"domain": domain}), ana.post(PATH, data={"domain": domain})):
            assert answer.status_code == 422, domain
            assert 'href="#domain"' in answer.text


def test_a_domain_of_the_organization_is_not_taken_twice(near, dns):
    with near.browser("ana") as ana:
        name, value = record_in(ana.get(PATH, params={"domain": "acme.example"}).text)
        dns.records[name] = [value]
        answer = ana.post(PATH, data={"domain": "acme.example"})
        assert answer.status_code == 422
        assert "This domain is there already" in plain(answer.text)


def test_nobody_but_owners_gets_near_the_domains(gate):
    with gate.browser("leo") as leo:
        unknown = leo.get("/no/such/path").content
        asked = [
            leo.get(PATH),
            leo.post(PATH, data={"domain": "x.example"}),
            leo.post(f"{PATH}/remove", data={"domain": "x"}),
        ]
        assert {(answer.status_code, answer.content) for answer in asked} == {(404, unknown)}
