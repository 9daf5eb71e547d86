"""SAML 2.0 web browser single sign-on and single logout, as a service provider.

The only importer of python3-saml. Everything here is a pure function of its arguments: no store, no
network, no file opened by a message; what fails raises `errors.Refused` with one reason. A message passes, in this
order, `document` (bytes to one small tree), `shape` (where things may stand), `signature` (profile, verification,
re-parsed signed bytes), `encryption` and `assertion` (what the signed words say). Start reading at `response.py`.
"""
