"""An authority of our own and what it signs, by openssl: PEM files that Kafka and its clients both read."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEY = ("-newkey", "rsa:2048", "-nodes")


def authority(folder: Path, name: str = "ca") -> Path:
    """A self-signed one. `NAME.pem` is its certificate, `NAME.key` its key."""
    made = folder / f"{name}.pem"
    extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    _openssl("req", "-x509", *KEY, "-keyout", folder / f"{name}.key", "-out", made, "-subj", f"/CN={name}", *extensions)
    return made


def signed(ca: Path, name: str) -> tuple[Path, Path]:
    """A certificate for `name`, good on 127.0.0.1, and its key."""
    folder = ca.parent
    request, certificate, key = (folder / f"{name}.{suffix}" for suffix in ("csr", "pem", "key"))
    _openssl("req", "-new", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    extensions = folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n", encoding="utf-8")
    _openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial"),
        *("-out", certificate, "-days", "2", "-extfile", extensions),
    )
    return certificate, key


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
