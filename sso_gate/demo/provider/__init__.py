"""The demonstration's identity provider: SAML 2.0 and OpenID Connect for people who only have to say who they are.

Owns messages, tokens and pages of that provider. It answers the registered gate alone and vouches for everybody, so it
must never be reachable beyond loopback; its keys live in memory, and what they sign is worth nothing once it has ended.
Start reading at `app.py`.
"""
