"""The delivery log of a destination: the last attempts, newest first, and none of a destination that is gone."""

from datetime import timedelta

from sso_gate.notify import streams, streams_log
from sso_gate.notify.streams_log import KEPT, Attempt
from tests.support.gates import make_organization


async def test_the_last_attempts_are_kept_newest_first_and_go_with_the_destination(inside):
    runtime = inside.runtime
    organization, now = await make_organization(runtime, seats=1), runtime.clock.now()

    def work(tx):
        made = [
            streams.create(tx, organization.id, "webhook", url, "whsec_x", keyring=runtime.keyring, clock=runtime.clock)
            for url in ("https://one.example", "https://two.example")
        ]
        for number in range(1, KEPT + 11):
            at = now + timedelta(seconds=number)
            streams_log.note(tx, made[0], Attempt(at, number, number, 1, 7, "" if number % 2 else "answered with 500"))
        streams_log.note(tx, made[1], Attempt(now, 1, 4, 2, 7, ""))
        return made

    one, other = await runtime.database.write(work)
    kept = await runtime.database.read(lambda tx: streams_log.latest(tx, one, limit=100))
    assert [attempt.first for attempt in kept] == list(range(KEPT + 10, 10, -1))
    assert (kept[0].problem, kept[1].problem) == ("answered with 500", "")

    def gone(tx):
        assert not streams.remove(tx, "org_of_somebody_else", one)
        assert streams.remove(tx, organization.id, one)
        streams_log.note(tx, one, Attempt(now, 1, 1, 1, 7, ""))
        return streams_log.latest(tx, one), streams_log.latest(tx, other)

    assert await runtime.database.write(gone) == ([], [Attempt(now, 1, 4, 2, 7, "")])
