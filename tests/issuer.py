"""Whoever issues tokens: keys, tokens signed with them, and an address where the public keys stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE, ISSUER = "https://command.example", "https://issuer.example"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def private_key(algorithm: str, name: str = "first") -> Key:
    """The private key of this name."""
    return _make_key(algorithm, name)


@cache
def _make_key(algorithm: str, name: str) -> Key:
    """One key for each name; RSA keys take long to make."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(algorithm: str, name: str = "first", **changes: Any) -> dict[str, Any]:
    """The public key, as it stands in a key set."""
    public = private_key(algorithm, name).public_key()
    kinds: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    jwk = kinds[algorithm].to_jwk(public, as_dict=True)
    return {**jwk, "kid": f"{algorithm}-{name}", "alg": algorithm, "use": "sig", **changes}


def token(algorithm: str = "RS256", name: str = "first", **changes: Any) -> str:
    """A genuine token; a change to `...` leaves the claim out."""
    now = time.time()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600} | changes
    sent = {key: value for key, value in claims.items() if value is not ...}
    return jwt.encode(sent, private_key(algorithm, name), algorithm, {"kid": f"{algorithm}-{name}"})


@contextmanager
def serving(answer: bytes, status: int = 200) -> Generator[str]:
    """An address that answers every GET so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the library
            """Not to the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
        thread.join()
