"""How the application is put together: the order of its doors, and that errors are answered in one place."""

from types import SimpleNamespace

import pytest
from starlette.routing import Route

from sso_gate.app import create_app
from tests.support.gates import settings_for


@pytest.fixture
def layers(sqlite_url):
    """The application's layers by name, outermost first."""
    app = create_app(settings_for(sqlite_url, "redis://127.0.0.1:1"))
    found = []
    while app is not None:
        found.append(app)
        app = getattr(app, "app", None)
    return found


def test_the_doors_stand_in_the_order_that_the_design_says(layers):
    names = [type(layer).__name__ for layer in layers]
    order = ["AccessLog", "SecurityHeaders", "Proxies", "Languages", "ProblemBoundary", "Door", "_KnownPaths"]
    assert names[: len(order)] == order
    assert names.index("CrossOriginProtection") > names.index("Door")
    assert names.index("BodyLimits") > names.index("CrossOriginProtection")


def test_no_two_routes_answer_the_same(layers):
    known = next(layer for layer in layers if type(layer).__name__ == "_KnownPaths")
    seen = [
        (route.path, method)
        for route in known.routes
        if isinstance(route, Route)
        for method in route.methods or {"ANY"}
    ]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(("method", "known"), [("POST", False), ("GET", True), ("HEAD", True)])
async def test_a_path_that_does_not_exist_is_one_before_origin_and_size_are_looked_at(layers, method, known):
    door = next(layer for layer in layers if type(layer).__name__ == "_KnownPaths")
    reached = SimpleNamespace(yes=False)

    async def inner(scope, receive, send):
        reached.yes = True

    door.app = inner
    scope = {"type": "http", "method": method, "path": "/no-such-path", "headers": []}
    if known:
        await door(scope, None, None)
    else:
        from sso_gate.errors import NotFound

        with pytest.raises(NotFound):
            await door(scope, None, None)
    assert reached.yes is known
