from openapi_spec_validator import validate

from sso_gate.api.description import openapi
from sso_gate.api.routes import api_routes
from sso_gate.tokens.token import Scope


def test_the_description_is_valid_openapi():
    validate(openapi())


def test_every_route_is_described_and_nothing_else_is():
    served = {(route.path, method) for route in api_routes() for method in route.methods or () if method != "HEAD"}
    described = {(path, method.upper()) for path, methods in openapi()["paths"].items() for method in methods}
    assert described == served


def test_every_operation_names_scopes_that_exist():
    operations = [operation for methods in openapi()["paths"].values() for operation in methods.values()]
    named = {scope for operation in operations for need in operation["security"] for scope in need["bearer"]}
    assert named <= {str(scope) for scope in Scope}
