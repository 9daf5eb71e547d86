"""Telling people: mail, from promises that were made in the deciding transaction.

`letters.py` says who is told what, `owners.py` when owners are told by themselves, `mail.py` writes and sends a letter.
Without a mail server nothing is promised to anybody. A link in a letter changes nothing by being opened.
"""
