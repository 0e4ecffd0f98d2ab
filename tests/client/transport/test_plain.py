from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

import friendli

from ..conftest import Caller
from ..wire import Serve, answer, completion, json_answer


class TestTLS:
    """A client for a plain http URL loads certificates only when it needs them."""

    @pytest.fixture
    def tls_url(self) -> Iterator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.1)
            stop = threading.Event()

            def accept() -> None:
                while not stop.is_set():
                    with contextlib.suppress(OSError):
                        sock, _ = listener.accept()
                        with sock, context.wrap_socket(sock, server_side=True) as secure:
                            secure.recv(65536)
                            secure.sendall(json_answer(completion()))

            thread = threading.Thread(target=accept)
            thread.start()
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
            stop.set()
            thread.join()

    @pytest.mark.parametrize("plain", [True, False])
    def test_untrusted_certificate_is_rejected(
        self, caller: Caller, tls_url: str, plain: bool
    ) -> None:
        base = "http://127.0.0.1:9" if plain else tls_url
        with pytest.raises(friendli.ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            caller.call(base, server_url=tls_url, retries=None)

    def test_redirect_to_an_untrusted_certificate_is_rejected(
        self, serve: Serve, caller: Caller, tls_url: str
    ) -> None:
        server = serve(answer(b"", 307, location=tls_url + "/"))
        with pytest.raises(friendli.ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            caller.call(server.url, retries=None)
