"""Real servers for the tests: each module starts one, on loopback, and stops it by its own pid.

Owns nothing of the product: a module here may import a driver or a provider's package, never `sso_gate`, except
for what a test hands it. Start reading at `servers.py`; the fixtures that hand these out are in `tests/conftest.py`.
"""
