"""The reverse proxy's question: may this request pass, and who is it? And the exchange that signs a browser in on an
application's host.

`question.py` reads what is asked, `routes.py` answers in the two dialects that proxies understand, `assertion.py` signs
who it is for the application, `host.py` answers under `/.sso-gate/` on application hosts. Changes nothing but idle
time.
"""
