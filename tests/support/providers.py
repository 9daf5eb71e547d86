"""Fixtures that hand out identity providers which nobody here wrote; a plugin of `tests/conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.oidc_op import OidcProvider
from tests.support.samlp_idp import SamlpIdp

if TYPE_CHECKING:
    from tests.support.pysaml2_idp import Pysaml2Idp


@pytest.fixture(scope="session")
def _samlp_server() -> Iterator[SamlpIdp]:
    provider = SamlpIdp()
    yield provider
    provider.close()


@pytest.fixture
def samlp_idp(_samlp_server: SamlpIdp) -> SamlpIdp:
    """A SAML provider (npm samlp) that behaves well until a test configures it."""
    _samlp_server.configure()
    return _samlp_server


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """An OpenID provider (npm oidc-provider); a test registers its own client."""
    provider = OidcProvider()
    yield provider
    provider.close()


@pytest.fixture(scope="session")
def pysaml2_idp() -> Iterator[Pysaml2Idp]:
    """A second SAML provider (pysaml2), built on other libraries than the first."""
    from tests.support.pysaml2_idp import Pysaml2Idp  # half a second, for those who use it

    provider = Pysaml2Idp()
    yield provider
    provider.close()
