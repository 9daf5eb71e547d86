"""The command line: one thin file for each noun, calling the same use cases as the pages.

Data on stdout, words on stderr. `--json` on everything that prints data, `--dry-run` and `--yes` on everything that
writes. Start reading at `main.py`, then `session.py`, which opens the runtime and turns errors into exit codes.
"""
