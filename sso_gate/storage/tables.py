"""Every table of the gate. SQL is the record: what stands here is true, what Redis says is a hint.

Columns ending `_at` are whole microseconds since 1970 UTC, JSON and dates are text: the same on SQLite and PostgreSQL.
The tables of money belong to `billing_core` and are made by the same migrations.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id") -> Column[str]:
    return Column(name, String(64), primary_key=True)


def _organization(*, primary_key: bool = False) -> Column[str]:
    return Column("organization", String(64), ForeignKey("organization.id"), nullable=False, primary_key=primary_key)


organization = Table(
    "organization",
    metadata,
    _id(),
    Column("slug", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("locale", String(16), nullable=False),
    Column("hold_for_waiting", Boolean, nullable=False),
    Column("it_contact", Text, nullable=False, default=""),  # whom to ask, for who cannot log in
    Column("provisioning", String(16), nullable=False, default="jit"),  # how people become members
    Column("scim_when_full", String(16), nullable=False),
    Column("scim_mode", String(16), nullable=False, default="compatible"),
    Column("purchase_roles", Text, nullable=False),
    Column("admits_until_at", BigInteger),  # new people, while the contract runs; empty: as long as it renews
    Column("access_until_at", BigInteger),  # people with a seat, with the grace; empty likewise
    Column("created_at", BigInteger, nullable=False),
)

organization_domain = Table(
    "organization_domain",
    metadata,
    Column("domain", String(253), primary_key=True),
    _organization(),
    Column("proven_at", BigInteger),  # when owners proved it by DNS; empty: whoever applies the file answers for it
    Index(None, "organization"),
)

connection = Table(
    "connection",
    metadata,
    _id(),
    _organization(),
    Column("name", Text, nullable=False),
    Column("protocol", String(8), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("settings", Text, nullable=False),
    Column("sealed_secret", Text, nullable=False),
    Column("made_by", String(32), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "organization"),
)

member = Table(
    "member",
    metadata,
    _id(),
    _organization(),
    Column("email", String(320), nullable=False),
    Column("email_key", String(320), nullable=False),
    Column("name", Text, nullable=False),
    Column("listed_role", String(16), nullable=False),
    Column("role", String(16), nullable=False),  # the listed one, or a higher one that a group brought
    Column("group_role", String(16), nullable=False, default="user"),  # what the groups of SCIM bring
    Column("grants", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("bound_to", String(64), nullable=False),  # the only connection that may bind them; empty: any
    Column("locale", String(16), nullable=False),
    Column("source", String(16), nullable=False),  # listed | login | scim | invite
    Column("created_at", BigInteger, nullable=False),
    Column("seat_since_at", BigInteger),
    Column("last_login_at", BigInteger),
    UniqueConstraint("organization", "email_key"),
    CheckConstraint("state IN ('held', 'released', 'blocked', 'waiting')", name="state"),
    CheckConstraint("role IN ('user', 'admin', 'owner', 'primary_owner')", name="role"),
    Index(None, "organization", "state"),
    Index(None, "organization", "created_at", "id"),
)
Index(
    "uq_member_one_primary_owner",
    member.c.organization,
    unique=True,
    sqlite_where=member.c.role == "primary_owner",
    postgresql_where=member.c.role == "primary_owner",
)

identity = Table(
    "identity",
    metadata,
    Column("connection", String(64), ForeignKey("connection.id"), primary_key=True),
    Column("subject", String(512), primary_key=True),
    Column("member", String(64), ForeignKey("member.id"), nullable=False, index=True),
    Column("bound_at", BigInteger, nullable=False),
)

seat_pool = Table(
    "seat_pool",
    metadata,
    _organization(primary_key=True),
    Column("purchased", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("0 <= used AND used <= purchased", name="never_oversold"),
)

seat_entry = Table(
    "seat_entry",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _organization(),
    Column("member", String(64), nullable=False),  # history: it outlives a member whom SCIM deleted
    Column("delta", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("event", String(64), nullable=False),  # the audit event that tells of it, written in the same transaction
    Column("at", BigInteger, nullable=False),
    CheckConstraint("delta IN (1, -1)", name="one_seat"),
    Index(None, "organization", "at"),
)

hold = Table(
    "hold",
    metadata,
    Column("member", String(64), ForeignKey("member.id"), primary_key=True),
    _organization(),
    Column("until_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "organization", "until_at"),
)

order_helped = Table(
    "order_helped",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("member", String(64), primary_key=True),  # who waited for a seat then; a member who is gone is in no answer
    _organization(),
)

waiting = Table(
    "waiting",
    metadata,
    Column("member", String(64), ForeignKey("member.id"), primary_key=True),
    _organization(),
    Column("first_refused_at", BigInteger, nullable=False),
    Column("last_refused_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("asked_at", BigInteger),
    Column("reminded_at", BigInteger),
    Column("declined_at", BigInteger),
    Column("lapsed_at", BigInteger),  # when a seat that was kept for them went to the next
    Column("message", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Index(None, "organization", "asked_at"),
)

audit_event = Table(
    "audit_event",
    metadata,
    _id(),
    _organization(),
    Column("happened_at", BigInteger, nullable=False),
    Column("action", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("reference", String(16), nullable=False),
    Column("login_id", String(64), unique=True),  # the durable guard against replay
    Column("attempt", String(64), nullable=False),
    Column("person", String(320), nullable=False),  # the address of whoever did it
    Column("about", String(320), nullable=False),  # the address of the member to whom it was done
    Column("connection", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("body", Text, nullable=False),  # the canonical text, which is what is chained
    Column("personal", Text, nullable=False),  # salts and values of what the body only commits to; erasing empties it
    Column("position", BigInteger),  # in the organization's chain, from 1; empty until the sealer comes by
    Column("prev", String(64)),
    Column("hash", String(64)),
    CheckConstraint("(outcome = 'denied') = (reason <> '')", name="denied_has_reason"),
)


def _sealed(*columns: str, unique: bool = False) -> None:
    """Index sealed events alone: an event is written on the way of a login, and sealed after it."""
    table, kind = audit_event.c, "uq" if unique else "ix"
    name = f"{kind}_audit_event_{'_'.join(columns)}"
    sealed = table.position.is_not(None)
    Index(name, *(table[one] for one in columns), unique=unique, sqlite_where=sealed, postgresql_where=sealed)


_sealed("organization", "position", unique=True)
_sealed("organization", "prev", unique=True)  # no two events follow the same one
_sealed("organization", "outcome", "position")
_sealed("organization", "happened_at")
_sealed("organization", "reference")
_sealed("organization", "person")
_sealed("organization", "about")
Index(
    "ix_audit_event_unsealed",
    audit_event.c.happened_at,
    audit_event.c.id,
    sqlite_where=audit_event.c.position.is_(None),
    postgresql_where=audit_event.c.position.is_(None),
)

audit_chain = Table(  # the end of each organization's chain
    "audit_chain",
    metadata,
    _organization(primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("head", String(64), nullable=False),
    Column("roots", Text, nullable=False),  # of the perfect subtrees, hex, largest first
    Column("latest_at", BigInteger, nullable=False),
    Column("warned_at", BigInteger, nullable=False),
    Column("signed_size", BigInteger, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),  # positions up to this one were removed
    Column("expired_before_at", BigInteger, nullable=False),  # all of them happened before this instant
    Column("retention_days", Integer, nullable=False),
)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    _organization(primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("head", String(64), nullable=False),
    Column("root", String(64), nullable=False),
    Column("roots", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("signed", Text, nullable=False),  # the whole checkpoint as JSON
)

audit_proof = Table(  # how far each organization's chain was last found whole, by the gate itself
    "audit_proof",
    metadata,
    _organization(primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("proved_at", BigInteger, nullable=False),  # 0: not yet
    Column("problem", Text, nullable=False),  # empty: whole
)

audit_stream = Table(  # where the log is delivered to
    "audit_stream",
    metadata,
    _id(),
    _organization(),
    Column("kind", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("sealed_secret", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),  # delivered up to here
    Column("sending", BigInteger, nullable=False),  # the batch that is under way ends here, so that a retry is the same
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("problem", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('webhook', 'splunk', 'syslog', 's3')", name="kind"),
    Index(None, "enabled", "due_at"),
)

audit_delivery = Table(  # the last attempts to deliver to each destination
    "audit_delivery",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("stream", String(64), ForeignKey("audit_stream.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),  # positions in the chain; 0: a sample
    Column("last", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("problem", Text, nullable=False),  # empty: delivered
    Index(None, "stream", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    _organization(),
    Column("kind", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("done_at", BigInteger),
    Index(None, "done_at", "due_at"),
)

billing_details = Table(  # who says what invoices call the buyer, and who gets them by mail besides
    "billing_details",
    metadata,
    _organization(primary_key=True),
    Column("author", String(16), nullable=False),
    Column("contacts", Text, nullable=False),  # a list of addresses, as JSON
    CheckConstraint("author IN ('file', 'console')", name="author"),
)

audit_export = Table(  # files of the log that are made in the background, and kept for some days
    "audit_export",
    metadata,
    _id(),
    _organization(),
    Column("member", String(64), nullable=False),  # who asked; it may outlive them
    Column("asked", Text, nullable=False),  # who, from where, and what for, as JSON
    Column("form", String(8), nullable=False),
    Column("expected", BigInteger, nullable=False),  # events
    Column("written", BigInteger, nullable=False),
    Column("name", Text, nullable=False),  # of the file, once it is there
    Column("due_at", BigInteger, nullable=False),  # when a process may take it up, perhaps again
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    Index(None, "organization", "created_at"),
    Index(None, "done_at", "due_at"),
)

audit_export_part = Table(
    "audit_export_part",
    metadata,
    Column("export", String(64), ForeignKey("audit_export.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("packed", LargeBinary, nullable=False),  # a gzip member; all of them in order are the file
)

notice = Table(  # what owners were told without having asked, so that they are told once
    "notice",
    metadata,
    _organization(primary_key=True),
    Column("kind", String(128), primary_key=True),
    Column("told_at", BigInteger, nullable=False),
    Column("value", Integer, nullable=False),
)

notification = Table(  # who hears of what, where owners chose otherwise than all of them of everything
    "notification",
    metadata,
    _organization(primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("recipients", String(16), nullable=False),
    Column("others", Text, nullable=False),  # a list of addresses, as JSON
    Column("seats_left", Integer),  # of the threshold: empty is by the size of the organization
    Column("chat", Boolean, nullable=False),  # whether the chat hears of it too
    Column("webhook", Boolean, nullable=False),  # whether the webhooks do
    CheckConstraint("recipients IN ('owners', 'primary_owner', 'nobody')", name="recipients"),
)

notification_chat = Table(  # where a chat takes messages: an incoming webhook, whose address is a secret
    "notification_chat",
    metadata,
    _organization(primary_key=True),
    Column("sealed_url", Text, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    _id(),
    _organization(),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("made_by", String(64), nullable=False, default=""),  # the member; empty: whoever runs the gate
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)

breakglass_code = Table(
    "breakglass_code",
    metadata,
    _id(),
    _organization(),
    Column("member", String(64), ForeignKey("member.id"), nullable=False),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
)

scim_user = Table(  # what a provisioning client says of a member; who came by login has no row before it does
    "scim_user",
    metadata,
    Column("member", String(64), ForeignKey("member.id"), primary_key=True),
    _organization(),
    Column("external_id", String(512)),
    Column("wanted", Boolean, nullable=False),  # active in the client's eyes, with a seat or waiting for one
    Column("attributes", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "organization", "external_id"),
)

scim_value = Table(  # attributes by which clients look people up, in the form in which they are compared
    "scim_value",
    metadata,
    Column("member", String(64), ForeignKey("member.id"), primary_key=True),
    Column("path", String(64), primary_key=True),
    Column("value", String(320), primary_key=True),
    _organization(),
    Index(None, "organization", "path", "value"),
)

scim_group = Table(
    "scim_group",
    metadata,
    _id(),
    _organization(),
    Column("display_name", Text, nullable=False),
    Column("display_key", String(320), nullable=False),
    Column("external_id", String(512)),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("organization", "display_key"),
    Index(None, "organization", "external_id"),
    Index(None, "organization", "created_at", "id"),
)

scim_group_member = Table(
    "scim_group_member",
    metadata,
    Column("group", String(64), ForeignKey("scim_group.id"), primary_key=True),
    Column("member", String(64), ForeignKey("member.id"), primary_key=True, index=True),
)

installation_key = Table(
    "installation_key",
    metadata,
    _id(),
    Column("purpose", String(32), nullable=False, index=True),
    Column("sealed", Text, nullable=False),
    Column("public", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("signs_from_at", BigInteger, nullable=False),
)
