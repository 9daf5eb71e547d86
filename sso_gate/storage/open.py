"""Opens what a process works with: the databases that the settings name, or the ones in the data folder."""

from sso_gate.clock import Clock, SystemClock
from sso_gate.settings import Settings
from sso_gate.storage.database import Database
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.redis import Redis
from sso_gate.storage.runtime import Runtime


def open_runtime(settings: Settings, clock: Clock | None = None) -> Runtime:
    """Return a runtime for settings in which database, Redis and secret keys are all named; connections open at first
    use.
    """
    return Runtime(
        settings=settings,
        clock=clock or SystemClock(),
        database=Database(settings.database_url),
        redis=Redis(settings.redis_url),
        keyring=Keyring(settings.secret_keys),
    )
