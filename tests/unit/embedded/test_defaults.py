"""What the settings leave out comes from the data folder; what they name is left as it is."""

import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy
from redis import Redis

from sso_gate.embedded.defaults import with_own_keys, with_own_servers
from sso_gate.embedded.secrets import secret_keys
from sso_gate.settings import Settings


@pytest.fixture
def data_dir():
    folder = Path(tempfile.mkdtemp(prefix="gate-"))
    yield folder
    shutil.rmtree(folder)


def test_a_gate_without_settings_gets_a_database_keys_and_a_valkey_that_ends_with_it(data_dir):
    with with_own_servers(Settings(data_dir=data_dir)) as settings:
        assert settings.secret_keys == secret_keys(data_dir)
        engine = sqlalchemy.create_engine(settings.database_url)
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT 1")).scalar_one() == 1
        engine.dispose()
        assert (data_dir / "sso-gate.db").exists()
        with Redis.from_url(settings.redis_url) as redis:
            assert redis.ping()
    assert not (data_dir / "valkey" / "kv.sock").exists()


def test_what_the_settings_name_is_used_and_the_folder_stays_empty(tmp_path):
    given = Settings(
        data_dir=tmp_path / "var",
        database_url="postgresql://gate@db/gate",
        redis_url="redis://cache:6379/0",
        secret_keys=("k" * 32,),
    )
    with with_own_servers(given) as settings:
        assert settings == given
    assert not (tmp_path / "var").exists()


def test_a_relative_data_folder_gives_an_absolute_database_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = with_own_keys(Settings(data_dir=Path("var")))
    assert settings.database_url == f"sqlite:///{tmp_path}/var/sso-gate.db"
