from tests.support.gates import Gate, make_organization, person
from sso_gate.admission.admit import Admission
from sso_gate.admission.settle import Denied

async def test_road(inside: Gate):
    org = await make_organization(inside.runtime, seats=3)
    assert isinstance(await inside.login(person(org, "ana")), Admission)
    assert isinstance(await inside.login(person(org, "ana")), Admission)
    assert isinstance(await inside.login(person(org, "owner")), Admission)
    assert isinstance(await inside.login(person(org, "bob")), Admission)
    d = await inside.login(person(org, "cyd"))
    assert isinstance(d, Denied)
    d = await inside.login(person(org, "cyd"))
    assert isinstance(d, Denied)
    print(await inside.pool(org.id))
