"""The pages of `/settings`: what owners, administrators, auditors and finance see and do.

Owns the door in front of them (`door.py`: decides by the path's prefix before anything else looks at the request),
the frame around them and the pages. Must not hold a rule about seats, money or people: a page calls the same use
cases as the API. Start with `door.py`, then `billing.py`.
"""
