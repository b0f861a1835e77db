"""TLS with an own CA and a client certificate, and a proxy: used when named, never otherwise."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import OWNER, always, answer, request, run, send, serving, target_of

from conformance.errors import TargetFileError
from conformance.model import Failure
from conformance.target import Sent, Session

PEM = Path(__file__).parent / "data" / "loopback.pem"


@contextlib.contextmanager
def tls_server(*, client: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """The base URL of a TLS server that answers ``{}``, and the requests it saw."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PEM)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(PEM)
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=talk, args=(plain,), daemon=True).start()

    def talk(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
            while message := secured.recv(65536):
                seen.append(message)
                secured.sendall(answer(b'{"secure": true}'))

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1", seen


def test_an_unknown_certificate_is_refused() -> None:
    """Without the CA there is no connection, and the key is not sent."""
    with tls_server() as (url, seen):
        (sent,) = send(target_of(url), request())
    assert sent.exchange.failure is Failure.CONNECT
    assert "certificate" in sent.exchange.detail.lower()
    assert not seen


@pytest.mark.parametrize("tls", [{"ca": str(PEM)}, {"verify": False}])
def test_an_own_ca_or_no_check_connects(tls: dict[str, Any]) -> None:
    """The CA of the target file is trusted; the check can be turned off; connections are kept."""
    with tls_server() as (url, seen):
        found = send(target_of(url, tls=tls), *[request(method="POST", content=b"{}") for _ in range(3)])
    assert all(one.ok for one in found)
    assert found[0].raw == b'{"secure": true}'
    assert len(seen) == 3  # head and body together, one write for each request


def test_a_client_certificate_is_shown() -> None:
    """A server that asks for a certificate gets the one of the target file; without it, no answer."""
    with tls_server(client=True) as (url, _):
        (shown,) = send(target_of(url, tls={"ca": str(PEM), "cert": str(PEM)}), request())
        (hidden,) = send(target_of(url, tls={"ca": str(PEM)}), request())
    assert shown.ok
    assert hidden.exchange.failure in (Failure.CONNECT, Failure.BROKEN)


def test_a_certificate_that_is_none_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    """A file that holds no certificate is told before anything is sent."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(TargetFileError, match="tls: cannot be loaded"):
        Session(target_of("https://127.0.0.1:1/v1", tls={"ca": str(tmp_path / "ca.pem")}))


def test_a_named_proxy_carries_every_request() -> None:
    """Requests go to the proxy with its password, and neither password nor key is in the evidence."""
    with serving(always(answer())) as proxy:
        url = f"http://me:proxy-word-1@127.0.0.1:{proxy.port}"
        found = send(target_of("http://gateway.invalid/v1", proxy=url), request(), request())
    assert all(one.ok for one in found)
    assert proxy.requests[0].startswith(b"GET http://gateway.invalid/v1/models HTTP/1.1")
    assert base64.b64encode(b"me:proxy-word-1") in proxy.requests[0]
    assert OWNER.encode() in proxy.requests[0]
    assert "proxy-word-1" not in repr(found)


def test_a_dead_proxy_is_no_connection() -> None:
    """A proxy that refuses is CONNECT, for plain and for secure targets."""
    with serving(always(answer(status="403 No"))) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        (sent,) = send(target_of("https://gateway.invalid/v1", proxy=url), request())
    assert sent.exchange.failure is Failure.CONNECT
    assert proxy.requests[0].startswith(b"CONNECT gateway.invalid:443")


def test_a_secure_websocket_uses_the_same_trust() -> None:
    """The upgrade trusts what the target file trusts, and nothing else."""

    async def scenario(session: Session) -> Sent:
        return await session.websocket(request(path="/realtime"))

    with tls_server() as (url, _):
        trusted = run(target_of(url, tls={"ca": str(PEM)}), scenario)
        stranger = run(target_of(url), scenario)
    assert trusted.exchange.response.status == 200
    assert stranger.exchange.failure is Failure.CONNECT
