"""The OASIS schemas that python3-saml ships, compiled once: it compiles them anew for each message, at ten times the
cost.
"""

from functools import cache
from pathlib import Path
from typing import Any

import onelogin.saml2
from lxml import etree

_FOLDER = Path(onelogin.saml2.__file__).parent / "schemas"


@cache
def protocol() -> Any:
    """Return the compiled schema of protocol messages. Source: saml-schema-protocol-2.0.xsd."""
    return etree.XMLSchema(etree.parse(_FOLDER / "saml-schema-protocol-2.0.xsd"))


@cache
def metadata() -> Any:
    """Return the compiled schema of metadata. Source: saml-schema-metadata-2.0.xsd."""
    return etree.XMLSchema(etree.parse(_FOLDER / "saml-schema-metadata-2.0.xsd"))
