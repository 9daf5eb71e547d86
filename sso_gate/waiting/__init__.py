"""People who were refused for want of a seat: their page, asking the owners, and the seat that is kept for them.

Owns tickets (`ticket.py`: one browser's page), what that page may say (`state.py`), and what owners may do
(`people.py`). Must not let anybody in: continuing from the page is a new sign-in. The order of helping is in
`sso_gate.seats.waitlist`.
"""
