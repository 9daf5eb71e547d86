"""The demonstration: an identity provider, a protected application behind a tiny proxy, and a story to live through.

Owns everything that only `sso-gate demo` needs, all of it on loopback and in a folder of its own. Nothing in the
product imports this package or knows that it is shown: the gate runs in a process of its own, as `serve` runs it, with
ordinary settings, on an organization that the use case of `apply` has read from a file. Start reading at `run.py`, then
`story.py`.
"""
