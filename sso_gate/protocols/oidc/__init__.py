"""OpenID Connect, the code flow: from the redirect to the provider to one proof, and its two logouts.

Start with `request.begin` and `callback.finish`; `trace.CHECKS` is the order in which everything is checked. authlib
speaks OAuth (`client.py`), joserfc verifies signatures (`jwks.py`, `signed_token.py`); what they let pass is refused
here, and neither decides. Must not know members, seats, sessions or routes; keeps nothing but `provider.Providers`.
"""
