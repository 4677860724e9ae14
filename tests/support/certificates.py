"""Certificates of no value, so that TLS is tested on every machine: tests/tls/make.sh made them, and says how."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "tls"

AUTHORITY = _FOLDER / "authority.pem"
CERTIFICATE = _FOLDER / "server.pem"
"""A server's, for 127.0.0.1, signed by the authority; it does for a client, too."""
KEY = _FOLDER / "server.key"
