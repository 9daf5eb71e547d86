"""The documents that describe the service. Source: RFC 7643 5 to 7, RFC 7644 4, RFC 9865 4."""

from typing import Any

from sso_gate.scim import bulk
from sso_gate.scim.asked import DEFAULT_COUNT, MAX_COUNT
from sso_gate.scim.definitions import GROUPS, USERS
from sso_gate.scim.requests import USER_BYTES
from sso_gate.scim.schema import Attribute, ResourceType, Schema

SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE_URN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
CONFIG_URN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
GATE_CONFIG_URN = "urn:sso-gate:scim:schemas:extension:2.0:ServiceProviderConfig"


def service_provider_config(base: str, *, strict: bool = False, gate: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what this service can do; `gate` is the head-room of seats and what was ignored of this token.

    It comes on request alone: a client that was generated from the RFC may refuse a document with members of ours. For
    the same reason only `strict` mode says that it follows the interoperability profile.
    """
    extension = {GATE_CONFIG_URN: gate} if gate is not None else {}
    return {
        "schemas": [CONFIG_URN, *extension],
        "patch": {"supported": True},
        "bulk": {"supported": True, "maxOperations": bulk.MAX_OPERATIONS, "maxPayloadSize": USER_BYTES},
        "filter": {"supported": True, "maxResults": MAX_COUNT},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_COUNT,
            "maxPageSize": MAX_COUNT,
        },
        **({"interopProfileConformant": True} if strict else {}),
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token of the organization with the scope scim (or scim:read, to read alone).",
                "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
        **extension,
    }


def resource_types(base: str) -> dict[str, dict[str, Any]]:
    """Return the resource types by name."""
    return {resource.name: _resource_type(resource, base) for resource in (USERS, GROUPS)}


def _resource_type(resource: ResourceType, base: str) -> dict[str, Any]:
    extensions = [{"schema": schema.urn, "required": False} for schema in resource.extensions]
    return {
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource.name,
        "name": resource.name,
        "endpoint": f"/{resource.endpoint}",
        "description": resource.core.description,
        "schema": resource.core.urn,
        **({"schemaExtensions": extensions} if extensions else {}),
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{resource.name}"},
    }


def schemas(base: str) -> dict[str, dict[str, Any]]:
    """Return the schemas by URN."""
    every = [schema for resource in (USERS, GROUPS) for schema in (resource.core, *resource.extensions)]
    return {schema.urn: _schema(schema, base) for schema in every}


def _schema(schema: Schema, base: str) -> dict[str, Any]:
    return {
        "schemas": [SCHEMA_URN],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": [_attribute(attribute) for attribute in schema.attributes],
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{schema.urn}"},
    }


def _attribute(attribute: Attribute) -> dict[str, Any]:
    """Return one definition; what has no meaning for its type is left out (RFC 7643 7)."""
    is_text = attribute.type in ("string", "reference")
    return {
        "name": attribute.name,
        "type": attribute.type,
        "multiValued": attribute.multi,
        "description": attribute.description or attribute.name,
        "required": attribute.required,
        **({"canonicalValues": list(attribute.canonical)} if attribute.canonical else {}),
        **({"caseExact": attribute.case_exact} if is_text else {}),
        "mutability": attribute.mutability,
        "returned": attribute.returned,
        **({"uniqueness": "server" if attribute.unique else "none"} if attribute.type != "complex" else {}),
        **({"referenceTypes": list(attribute.references)} if attribute.references else {}),
        **({"subAttributes": [_attribute(part) for part in attribute.sub]} if attribute.sub else {}),
    }
