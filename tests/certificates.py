"""Certificates for one test: an authority of its own, and a server's for 127.0.0.1."""

import subprocess
from pathlib import Path


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write an authority's certificate, the server's and the server's key; returns their files in this order."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    # Python from 3.13 on trusts no authority whose certificate does not say that it may sign.
    signs = ("-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", *signs)
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-out", "server.pem")
    openssl("x509", "-req", "-in", "server.csr", *signed)
    return folder / "ca.pem", folder / "server.pem", folder / "server.key"
