"""The gate's seats in any order of events, with a fault at any call to a driver, on both databases."""

import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.seat_machine import SeatMachine, Stage, stage_on
from tests.support.valkey import ThrowAwayValkey


@pytest.fixture
def stage(gate_database: str, valkey: ThrowAwayValkey) -> Iterator[Stage]:
    """A gate on a database of each kind, and a Valkey."""
    with stage_on(gate_database, valkey) as made:
        yield made


def live(stage: Stage, *, lives: int, steps: int) -> None:
    """Let so many organizations live."""
    machine: Callable[[], SeatMachine] = type("Seats", (SeatMachine,), {"stage": stage})
    chosen = settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        # A failure is not made smaller, which takes minutes: its steps are printed, and a line that plays them again.
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_no_order_of_events_and_no_fault_oversells_loses_or_leaks_a_seat(stage: Stage):
    live(stage, lives=8, steps=20)


@pytest.mark.soak
def test_no_long_life_oversells_loses_or_leaks_a_seat(stage: Stage):
    live(stage, lives=int(os.environ.get("SEAT_LIVES", "300")), steps=50)
