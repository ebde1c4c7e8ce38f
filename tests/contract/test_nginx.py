"""The TLS edge of ops/: a real nginx in front of a real door, and in front of one that notes what reaches it."""

import asyncio
import json
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from websockets.asyncio.client import connect

from tests.support.doors import KEY, is_, messages, open_door, speech_pcm
from tests.support.edge import NGINX, running_edge

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: apt-get install nginx-light)")


class Noted(BaseHTTPRequestHandler):
    """Answers everything and notes what it was asked, headers and body."""

    protocol_version = "HTTP/1.1"
    seen: list

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args):
        pass


@contextmanager
def noting_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Noted)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def noted():
    with noting_server() as server, running_edge(f"127.0.0.1:{server.server_address[1]}") as edge:
        yield edge, server


def status(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


async def test_a_counter_talks_through_the_edge_and_is_answered_without_compression():
    async with open_door() as at:
        with running_edge(at.http.removeprefix("http://")) as edge:
            url = f"wss://localhost:{edge.https_port}/ws"
            async with connect(url, ssl=edge.context) as socket:  # it offers permessage-deflate
                assert "Sec-WebSocket-Extensions" not in socket.response.headers
                await socket.send(json.dumps({"comando": "auth", "versao": 4, "api_key": KEY}))
                await messages(socket, is_("sessao"))
                await socket.send(speech_pcm())
                got = await messages(socket, is_("recomendar"), 10)
                assert got[-1]["itens"]
                await asyncio.wait_for(await socket.ping(), 5)
            assert "GET /ws 101" in edge.access_log


async def test_the_door_sees_the_address_that_nginx_saw_whatever_a_client_claims(noted):
    edge, server = noted
    answer = edge.raw(
        b"GET /saude?busca=maria HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
        b"X_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: http\r\n\r\n"
    )
    path, headers, _ = server.seen[-1]
    assert status(answer) == 200
    assert path == "/saude?busca=maria"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == "localhost"
    assert not {"forwarded", "x_forwarded_for", "x-real-ip", "x-forwarded-host"} & set(headers)
    assert b"Strict-Transport-Security: max-age" in answer
    assert b"BaseHTTP" not in answer
    assert "maria" not in edge.access_log


@pytest.mark.parametrize(
    ("name", "request_head"),
    [
        (
            "length and chunks",
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("two lengths", b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 40\r\n"),
        ("an unknown coding", b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n"),
        ("a negative length", b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n"),
        ("a length with a sign", b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: +4\r\n"),
        ("two hosts", b"GET /x HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n"),
        ("no host", b"GET /x HTTP/1.1\r\n"),
        ("a nul in a header", b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-A: a\x00b\r\n"),
    ],
)
def test_what_two_servers_could_read_differently_is_refused_at_the_edge(noted, name, request_head):
    edge, server = noted
    before = len(server.seen)
    answer = edge.raw(request_head + b"\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status(answer) in (400, 501), name
    assert len(server.seen) == before


@pytest.mark.parametrize(
    "header", [b"Content-Length : 44", b"Transfer-Encoding : chunked", b" Content-Length: 44", b"A\tB: 1"]
)
def test_a_malformed_header_does_not_reach_the_door(noted, header):
    edge, server = noted
    before = len(server.seen)
    edge.raw(b"GET /first HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header + b"\r\n\r\n")
    for _, headers, body in server.seen[before:]:
        assert "content-length" not in headers
        assert "transfer-encoding" not in headers
        assert body == b""


def test_a_body_in_chunks_reaches_the_door_whole_with_its_length(noted):
    edge, server = noted
    answer = edge.raw(
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nabcde\r\n3;x=y\r\nfgh\r\n0\r\n\r\n"
    )
    _, headers, body = server.seen[-1]
    assert status(answer) == 200
    assert body == b"abcdefgh"
    assert headers["content-length"] == "8"
    assert "transfer-encoding" not in headers


def test_an_upgrade_is_for_counters_alone(noted):
    edge, server = noted
    edge.raw(b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
    _, headers, _ = server.seen[-1]
    assert "upgrade" not in headers


@pytest.mark.parametrize("path", [b"/-/routes", b"/%2d/healthz", b"/./-/routes", b"/x/../-/routes", b"//-/routes"])
def test_what_ray_serve_answers_by_itself_is_not_shown(noted, path):
    edge, server = noted
    before = len(server.seen)
    answer = edge.raw(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status(answer) == 404
    assert len(server.seen) == before


def test_a_body_beyond_the_limit_is_refused_before_the_door_sees_it(noted):
    edge, server = noted
    before = len(server.seen)
    answer = edge.raw(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000\r\n\r\n")
    assert status(answer) == 413
    assert len(server.seen) == before


def test_another_name_gets_nothing(noted):
    edge, server = noted
    before = len(server.seen)
    assert edge.raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n") == b""
    with pytest.raises(ssl.SSLError):
        edge.raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", name="evil.example")
    assert len(server.seen) == before


def test_plain_http_leads_to_tls_and_shows_the_certificate_authoritys_file(noted):
    edge, _ = noted
    challenge = edge.root / "acme" / ".well-known" / "acme-challenge" / "token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("proof")
    base = f"http://127.0.0.1:{edge.http_port}"

    def ask(path):
        request = urllib.request.Request(base + path, headers={"Host": "localhost"})
        return urllib.request.build_opener(NoRedirect).open(request, timeout=5)

    assert ask("/.well-known/acme-challenge/token").read() == b"proof"
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("/saude")
    assert refused.value.code == 301
    assert refused.value.headers["Location"] == "https://localhost/saude"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None
