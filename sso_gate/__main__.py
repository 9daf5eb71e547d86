"""`python -m sso_gate` is `sso-gate`."""

from sso_gate.cli.main import main

main(prog_name="sso-gate")
