"""The names that SAML, XML Signature and XML Encryption give to things, and the algorithms that this gate takes.

Sources: SAML core, bindings and profiles 2.0; XML Signature 1.1; XML Encryption 1.1; RFC 9231.
"""

from typing import Any, Final, TypeAlias

Element: TypeAlias = Any  # lxml has no type information of its own

ASSERTION_NS: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL_NS: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA_NS: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE_NS: Final = "http://www.w3.org/2000/09/xmldsig#"
ENCRYPTION_NS: Final = "http://www.w3.org/2001/04/xmlenc#"
ENCRYPTION11_NS: Final = "http://www.w3.org/2009/xmlenc11#"

SAML: Final = f"{{{ASSERTION_NS}}}"
SAMLP: Final = f"{{{PROTOCOL_NS}}}"
MD: Final = f"{{{METADATA_NS}}}"
DS: Final = f"{{{SIGNATURE_NS}}}"
XENC: Final = f"{{{ENCRYPTION_NS}}}"
XENC11: Final = f"{{{ENCRYPTION11_NS}}}"

HTTP_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
HTTP_REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
PARTIAL_LOGOUT: Final = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
RESPONDER: Final = "urn:oasis:names:tc:SAML:2.0:status:Responder"

UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
EMAIL_ADDRESS: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
EXCLUSIVE_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE_NAMESPACES: Final = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"

# SHA-1, MD5, RIPEMD160, SHA-224, DSA and every HMAC are refused by not being here.
DIGESTS: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_METHODS: Final = frozenset(
    {
        RSA_SHA256,
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    }
)
ECDSA_METHODS: Final = frozenset(
    {
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    }
)
