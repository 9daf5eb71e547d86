"""Every setting of a gate process, read once at start from `SSO_GATE_…` environment variables.

Each secret may also come from a file named by `…_FILE`. Wrong values stop the start: `load_settings` reports all of
them at once, one line each. `docs/operations.md` lists them for people.
"""

import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sso_gate.errors import SsoGateError

PREFIX = "SSO_GATE_"
_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REDIS_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix")
_SECRET_SETTINGS = ("secret_keys", "database_url", "redis_url", "smtp_url")
MINIMUM_SECRET_LENGTH = 32
LARGEST_PORT = 65_535
LONGEST = timedelta(days=36_600)
SMTP_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?")

Network = IPv4Network | IPv6Network


class SettingsInvalid(SsoGateError):
    """Settings that cannot be used; `problems` holds one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_duration(text: str) -> timedelta:
    """Return the time that `30m`, `8h`, `72h`, `90d` or `45s` says.

    Raises:
        ValueError: anything else, zero, and more than a hundred years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError("expected a whole number and a unit, such as 30m, 8h or 90d")
    if len(match[1]) > 9 or (found := timedelta(**{_UNITS[match[2]]: int(match[1])})) > LONGEST:
        raise ValueError("expected a hundred years at most")
    return found


class Rate(BaseModel):
    """So many events in so much time, written `600/1m`."""

    model_config = ConfigDict(frozen=True)

    count: int = Field(ge=1)
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rate that the text says; ValueError where it says none."""
        count, slash, period = text.partition("/")
        if not slash or not count.strip().isdigit():
            raise ValueError("expected a count and a period, such as 600/1m")
        return cls(count=int(count), period=parse_duration(period))


class Address(BaseModel):
    """A host and a TCP port to listen on, written `127.0.0.1:8080` or `[::1]:8080`."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=65535)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that the text says; ValueError where it says none."""
        host, colon, port = text.strip().rpartition(":")
        if not colon or not host or not port.isdigit():
            raise ValueError("expected host:port, such as 127.0.0.1:8080")
        return cls(host=host.strip("[]"), port=int(port))


def _words(value: object) -> object:
    return tuple(re.split(r"[,\s]+", value.strip())) if isinstance(value, str) and value.strip() else value or ()


def _networks(value: object) -> object:
    words = _words(value)
    return tuple(ip_network(word) for word in words) if isinstance(words, tuple) else words


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or "?" in value
        or "#" in value
    ):
        raise ValueError("expected an absolute http or https URL")
    if parts.path.strip("/"):
        raise ValueError("the gate answers at the root of its host: no path")
    if parts.port == 0:  # reading it raises ValueError for one that is none
        raise ValueError("port 0 cannot be reached")
    return value


def _redis_url(value: str) -> str:
    if value and urlsplit(value).scheme not in _REDIS_SCHEMES:
        raise ValueError(f"expected one of {', '.join(scheme + '://' for scheme in _REDIS_SCHEMES)}")
    return value


def _database_url(value: str) -> str:
    if value and not value.startswith(("postgresql://", "postgresql+psycopg://", "sqlite:///")):
        raise ValueError("expected postgresql://… or sqlite:///…")
    return value


def _smtp_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in SMTP_PORTS or not parts.hostname or parts.port == 0):
        raise ValueError(f"expected one of {', '.join(f'{scheme}://' for scheme in SMTP_PORTS)} and a host")
    return value


def _mail_from(value: str) -> str:
    name, at, host = parseaddr(value)[1].rpartition("@")
    if value and not (name and at and _HOST.fullmatch(host.lower())):
        raise ValueError("expected an address such as gate@example.com")
    return value


def _return_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [host for host in hosts if not _HOST.fullmatch(host.lower())]
    if wrong:
        raise ValueError(f"expected hosts such as app.example.com or app.localhost:8081, not {wrong[0]!r}")
    return hosts


def parse_name_server(text: str) -> tuple[str, int]:
    """Return address and port of a name server, such as `9.9.9.9`, `127.0.0.1:5353`, `2620:fe::9` or `[::1]:5353`.

    Raises:
        ValueError: it is not an address, or not a port.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not text.startswith("[")):
        host, port = text, "53"
    if not port.isdecimal() or not 0 < int(port) <= LARGEST_PORT:
        raise ValueError("expected a port from 1 to 65535")
    return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)


def _dns_servers(servers: tuple[str, ...]) -> tuple[str, ...]:
    for server in servers:
        try:
            parse_name_server(server)
        except ValueError as error:
            raise ValueError(f"expected addresses such as 9.9.9.9 or 127.0.0.1:5353, not {server!r}") from error
    return servers


def _secret_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    if any(len(key) < MINIMUM_SECRET_LENGTH for key in keys):
        raise ValueError(f"each key needs at least {MINIMUM_SECRET_LENGTH} characters")
    return keys


def _by(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Duration = Annotated[timedelta, _by(parse_duration)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class Settings(BaseModel):
    """The settings of one process. Field names are the variables' names in lower case without the prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    public_url: Annotated[str, AfterValidator(_public_url)] = "http://localhost:8080"
    bind: Annotated[Address, _by(Address.parse)] = Address(host="127.0.0.1", port=8080)
    admin_bind: Annotated[Address, _by(Address.parse)] = Address(host="127.0.0.1", port=9464)
    data_dir: Path = Path("./var")
    database_url: Annotated[str, AfterValidator(_database_url)] = ""
    redis_url: Annotated[str, AfterValidator(_redis_url)] = ""
    secret_keys: Annotated[Words, AfterValidator(_secret_keys)] = ()
    trusted_proxies: Networks = ()
    return_hosts: Annotated[Words, AfterValidator(_return_hosts)] = ()
    workers: int = Field(default=1, ge=1, le=64)
    session_idle: Duration = timedelta(hours=8)
    session_max: Duration = timedelta(hours=24)
    login_rate: Annotated[Rate, _by(Rate.parse)] = Rate(count=600, period=timedelta(minutes=1))
    seat_hold: Duration = timedelta(hours=72)
    quote_ttl: Duration = timedelta(minutes=30)
    dns_servers: Annotated[Words, AfterValidator(_dns_servers)] = ()
    allow_private_networks: Networks = ()
    denied_show_owners: Literal["none", "names"] = "none"
    smtp_url: Annotated[str, AfterValidator(_smtp_url)] = ""
    mail_from: Annotated[str, AfterValidator(_mail_from)] = ""
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.session_idle > self.session_max:
            problems.append("SSO_GATE_SESSION_IDLE: must not be longer than SSO_GATE_SESSION_MAX")
        if bool(self.smtp_url) != bool(self.mail_from):
            problems.append("SSO_GATE_SMTP_URL: goes together with SSO_GATE_MAIL_FROM")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def origin(self) -> str:
        """The public URL without a trailing slash: the base of every URL that leaves the gate."""
        return self.public_url.rstrip("/")

    @property
    def public_host(self) -> str:
        """The public URL's host, with its port where it is not the scheme's own, in lower case."""
        return urlsplit(self.public_url).netloc.lower()

    @property
    def allowed_return_hosts(self) -> frozenset[str]:
        """Hosts (with port where one is needed) to which a login may return; the gate's own is always among them."""
        return frozenset({self.public_host, *(host.lower() for host in self.return_hosts)})


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that the environment gives (the process's own by default).

    Raises:
        SettingsInvalid: with every problem, one line each, naming the variable.
    """
    values, problems = _collect(os.environ if environment is None else environment)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_input=False)
        problems += [_line(item["loc"], item["msg"]) for item in wrong]
        problems += _contradictions(values, {str(item["loc"][0]) for item in wrong if item["loc"]})
        raise SettingsInvalid(problems) from error
    if problems:
        raise SettingsInvalid(problems)
    return settings


def _contradictions(values: Mapping[str, str], wrong: AbstractSet[str]) -> list[str]:
    """Return what does not go together among the other settings, where some `wrong` one kept that from being asked."""
    try:
        Settings.model_validate({name: text for name, text in values.items() if name not in wrong})
    except ValidationError as error:
        lines = [_line((), item["msg"]) for item in error.errors(include_input=False) if wrong]
        named = [f"{PREFIX}{name.upper()}" for name in wrong]
        return [line for line in "\n".join(lines).splitlines() if not any(name in line for name in named)]
    return []


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the `SSO_GATE_…` variables that mean nothing: `check` warns of them, a start does not stop for them.

    Kubernetes sets such variables by itself (`SSO_GATE_SERVICE_HOST`, `SSO_GATE_PORT`) beside a service of our name.
    """
    names = os.environ if environment is None else environment
    fields = {name: name.removeprefix(PREFIX).lower() for name in names if name.startswith(PREFIX)}
    known = {*Settings.model_fields, *(f"{secret}_file" for secret in _SECRET_SETTINGS)}
    return sorted(name for name, field in fields.items() if field not in known)


def _collect(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    problems: list[str] = []
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in Settings.model_fields:
            values[field] = value
        elif field.removesuffix("_file") in _SECRET_SETTINGS and name.removesuffix("_FILE") in environment:
            problems.append(f"{name}: given twice, as {name.removesuffix('_FILE')} too")
        elif field.removesuffix("_file") in _SECRET_SETTINGS:
            _read_file(name, Path(value), values, problems)
    return values, problems


def _read_file(name: str, path: Path, values: dict[str, str], problems: list[str]) -> None:
    try:
        values[name.removeprefix(PREFIX).removesuffix("_FILE").lower()] = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{name}: cannot be read ({error.__class__.__name__})")


def _line(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {text}" if location else text
