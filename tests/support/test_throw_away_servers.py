"""The servers that tests stand on do what their wrappers say."""

import contextlib
import socket

import pytest
import sqlalchemy
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey


def test_valkey_answers_on_its_socket_and_on_its_port(valkey):
    with valkey.client() as client:
        client.set("greeting", "hello")
    with valkey.tcp_client() as client:
        assert client.get("greeting") == "hello"


def test_every_test_gets_an_empty_valkey(valkey):
    with valkey.client() as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


test_and_again_after_something_was_left_behind = test_every_test_gets_an_empty_valkey


def test_valkey_keeps_its_data_over_a_restart_and_is_gone_while_stopped(valkey):
    with valkey.client() as client:
        client.set("kept", "yes")
    valkey.stop()
    with valkey.client() as client, pytest.raises(RedisConnectionError):
        client.ping()
    valkey.start()
    with valkey.client() as client:
        assert client.get("kept") == "yes"


def test_a_valkey_that_a_test_left_stopped_is_running_for_the_next(valkey_server):
    valkey_server.stop(kill=True)
    valkey_server.ensure_running()
    with valkey_server.client() as client:
        assert client.ping()


def test_a_closed_valkey_leaves_no_folder():
    server = ThrowAwayValkey(appendfsync="always")
    server.close()
    assert not server.folder.exists()


def test_redis_speaks_tls_to_who_trusts_its_certificate_and_nothing_else(tls_redis):
    with Redis.from_url(tls_redis.url) as client:
        assert client.ping()
    with Redis.from_url(tls_redis.url.partition("?")[0]) as client, pytest.raises(RedisConnectionError):
        client.ping()
    with Redis(port=tls_redis.port) as client, pytest.raises(RedisConnectionError):
        client.ping()


def test_both_databases_are_empty_and_take_a_table(database_url):
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == []
        connection.execute(sqlalchemy.text("CREATE TABLE seats (id BIGINT PRIMARY KEY)"))
    engine.dispose()


def test_postgres_recovers_what_was_committed_before_a_crash():
    server = ThrowAwayPostgres(fsync=True)
    try:
        engine = sqlalchemy.create_engine(server.create_database(), poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE invoices AS SELECT 1 AS number"))
        server.restart(kill=True)
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT number FROM invoices")).scalar_one() == 1
    finally:
        server.close()
    assert not server.folder.exists()


def test_postgres_starts_where_user_namespaces_are_forbidden(monkeypatch):
    monkeypatch.setattr("tests.support.postgres._user_namespaces_work", lambda: False)
    server = ThrowAwayPostgres()
    try:
        assert server.create_database().startswith("postgresql+psycopg://")
    finally:
        server.close()


def test_a_connection_beyond_loopback_fails_the_test_even_where_errors_are_swallowed():
    refused = pytest.raises(pytest.fail.Exception, match="loopback only")
    with socket.socket() as connection, refused, contextlib.suppress(Exception):
        connection.connect(("192.0.2.1", 80))


def test_names_under_localhost_are_this_machine_and_others_do_not_exist():
    assert {entry[4][0] for entry in socket.getaddrinfo("gate.localhost", 80)} == {"127.0.0.1"}
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("login.acme.example", 443)
