"""sso-gate: the login gate for applications whose seats cost money."""
