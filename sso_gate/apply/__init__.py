"""The organization file: what `sso-gate apply FILE.toml` reads, and the one transaction in which it becomes true.

`file.py` turns text into values or into errors that name the line (`places.py`) in plain words (`wording.py`);
`apply.py` writes what differs, and `differences.py` says what that is. Applying again changes nothing that is already
so, never lowers seats and never issues an invoice twice.
"""
