"""`/scim/v2/…`: requests in, answers out. The order of refusals: 401, 403 scope, 413, 415, 400, then those of the use case.

Every answer below `/scim/` is in SCIM's own form, errors included (RFC 7644 3.12).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action
from sso_gate.errors import Reason, Unavailable
from sso_gate.scim import discovery, groups, preconditions, users
from sso_gate.scim.caller import Caller, Kind, caller_with
from sso_gate.scim.definitions import GROUPS, USERS
from sso_gate.scim.listing import read_asked
from sso_gate.scim.patch import Operation, apply_patch, read_operations
from sso_gate.scim.projection import Projection, read_projection
from sso_gate.scim.rejection import Rejected, not_there
from sso_gate.scim.requests import GROUP_BYTES, USER_BYTES, answer, read_json, read_query, read_search
from sso_gate.scim.schema import ResourceType
from sso_gate.scim.values import Dialect
from sso_gate.seats import ledger
from sso_gate.web.request_state import state_of
