"""The browsers behave as browsers do where an HTTP client does not."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.browser_jar import BrowserJar
from tests.support.chromium import running_chromium

SESSION = "__Host-sso_gate=key; Path=/; Secure; HttpOnly; SameSite=Lax"
LOGIN = "__Host-sso_gate_login=state; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=600"


class _Handler(BaseHTTPRequestHandler):
    """Sets the gate's two cookies at /set, loses one at /unset, redirects at /away, and says what it was sent."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        away = self.path == "/away"
        self.send_response(302 if away else 200)
        if away:
            self.send_header("Location", f"http://app.localhost:{self.connection.getsockname()[1]}/arrived")
        for cookie in {"/set": [SESSION, LOGIN], "/unset": ["__Host-sso_gate=; Path=/; Secure; Max-Age=0"]}.get(
            self.path, []
        ):
            self.send_header("Set-Cookie", cookie)
        body = f"<title>t</title><pre>{self.headers}</pre>".encode()
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *arguments):
        pass


@contextmanager
def a_server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def port():
    with a_server() as port:
        yield port


def test_the_jar_sends_secure_cookies_to_plain_http_on_loopback(browser_jar, port):
    browser_jar.get(f"http://gate.localhost:{port}/set")
    text = browser_jar.get(f"http://gate.localhost:{port}/").text
    assert "__Host-sso_gate=key" in text
    assert f"Host: gate.localhost:{port}" in text


def test_the_jar_keeps_a_host_only_cookie_from_another_host(browser_jar, port):
    browser_jar.get(f"http://gate.localhost:{port}/set")
    assert "Cookie" not in browser_jar.get(f"http://app.localhost:{port}/").text


def test_the_jar_lets_a_cross_site_post_carry_only_samesite_none(browser_jar, port):
    browser_jar.get(f"http://gate.localhost:{port}/set")
    text = browser_jar.post(f"http://gate.localhost:{port}/", {}, initiator="http://idp.localhost:1/").text
    assert "__Host-sso_gate_login=state" in text
    assert "__Host-sso_gate=key" not in text
    assert "Sec-Fetch-Site: cross-site" in text
    assert "Origin: http://idp.localhost:1" in text


def test_the_jar_forgets_an_expired_cookie(browser_jar, port):
    browser_jar.get(f"http://gate.localhost:{port}/set")
    browser_jar.get(f"http://gate.localhost:{port}/unset")
    assert browser_jar.cookie("__Host-sso_gate", "gate.localhost") is None
    assert browser_jar.cookie("__Host-sso_gate_login", "gate.localhost") is not None


def test_the_jar_refuses_a_host_cookie_that_is_not_secure():
    jar = BrowserJar()
    jar._keep("__Host-sso_gate=evil; Path=/", "gate.localhost")
    jar.close()
    assert not jar.cookies


def test_the_jar_follows_to_another_host_only_when_told(browser_jar, port):
    page = browser_jar.get(f"http://gate.localhost:{port}/away")
    assert (page.status, page.location) == (302, f"http://app.localhost:{port}/arrived")
    assert browser_jar.follow(page).url == f"http://app.localhost:{port}/arrived"
    assert browser_jar.follow(page, stop_before="http://app.localhost").status == 302


def test_chromium_agrees_with_the_jar(chromium, port):
    context = chromium.new_context(locale="pt-BR")
    page = context.new_page()
    page.goto(f"http://gate.localhost:{port}/set")
    page.goto(f"http://gate.localhost:{port}/")
    text = page.text_content("pre")
    assert "__Host-sso_gate=key" in text
    assert "Accept-Language: pt-BR" in text
    page.goto(f"http://idp.localhost:{port}/")
    page.evaluate(
        "url => { const form = document.body.appendChild(document.createElement('form'));"
        " form.method = 'post'; form.action = url; form.submit(); }",
        f"http://gate.localhost:{port}/",
    )
    page.wait_for_url(f"http://gate.localhost:{port}/")
    text = page.text_content("pre")
    assert "__Host-sso_gate_login=state" in text
    assert "__Host-sso_gate=key" not in text
    context.close()


def test_axe_runs_in_chromium(chromium, axe_source, port):
    page = chromium.new_page()
    page.goto(f"http://gate.localhost:{port}/")
    page.evaluate(axe_source)
    violations = page.evaluate("async () => (await axe.run()).violations.map(v => v.id)")
    assert "html-has-lang" in violations
    page.close()


@pytest.mark.needs("chromium")
def test_no_event_loop_is_left_running_by_chromium():
    with running_chromium() as browser:
        assert browser.is_connected()
    asyncio.run(asyncio.sleep(0))
