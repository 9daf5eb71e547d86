"""The one-command default: a gate that was given no database, no Redis and no secret keys makes its own.

Owns the data folder: an embedded Valkey on a unix socket (`valkey.py`), the secret keys made on first start
(`secrets.py`), the SQLite file's URL. Must not be needed where the settings name real servers. Start reading at
`defaults.py`.
"""
