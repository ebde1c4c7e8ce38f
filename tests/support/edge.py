"""A real nginx with the site of ops/, a certificate of its own and ports of its own."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serve_app.local_ray import free_port

TEMPLATE = Path(__file__).parents[2] / "ops" / "nginx" / "balto.conf.template"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def make_certificate(folder: Path, days: float = 90.0) -> Path:
    """A self-signed certificate for `localhost`, good for `days`; the folder's `fullchain.pem` and `privkey.pem`."""
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "privkey.pem").write_bytes(private)
    return folder / "fullchain.pem"


@dataclass
class Edge:
    """An nginx that runs; `trust` is the file that makes its certificate believed."""

    root: Path
    http_port: int
    https_port: int

    @property
    def trust(self) -> Path:
        return self.root / "live" / "localhost" / "fullchain.pem"

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.trust))

    @property
    def access_log(self) -> str:
        return (self.root / "log" / "access.log").read_text()

    def raw(self, request: bytes, name: str = "localhost") -> bytes:
        """What nginx answers to these very bytes over TLS, until it closes or 3 s of silence."""
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=3) as plain,
            self.context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            secure.sendall(request)
            answer = b""
            with contextlib.suppress(TimeoutError, ssl.SSLError, ConnectionResetError):
                while piece := secure.recv(65536):
                    answer += piece
                    if b"\r\n\r\n" in answer and b"100 Continue" not in answer:
                        break
            return answer


def site(root: Path, upstream: str, http_port: int, https_port: int) -> str:
    """The site of ops/ as `envsubst` renders it, on other ports and with its files below `root`."""
    text = TEMPLATE.read_text().replace("${BALTO_DOMAIN}", "localhost").replace("${BALTO_UPSTREAM}", upstream)
    for ours, theirs in {
        "listen 80": f"listen {http_port}",
        "listen [::]:80": f"listen [::]:{http_port}",
        "listen 443": f"listen {https_port}",
        "listen [::]:443": f"listen [::]:{https_port}",
        "/etc/letsencrypt": str(root),
        "/var/www/acme": str(root / "acme"),
        "/var/log/nginx": str(root / "log"),
    }.items():
        assert ours in text, f"{ours} is not in the template any more"
        text = text.replace(ours, theirs)
    return text


@contextlib.contextmanager
def running_edge(upstream: str) -> Iterator[Edge]:
    """The edge in front of `upstream` (host:port), gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="balto-edge-", dir="/tmp"))
    edge = Edge(root, free_port(), free_port())
    config = root / "nginx.conf"
    try:
        root.chmod(0o755)
        make_certificate(root / "live" / "localhost")
        for name in ("log", "acme", "body"):
            (root / name).mkdir(mode=0o777)
        config.write_text(
            f"daemon off; worker_processes 1; pid {root}/pid; error_log {root}/log/error.log;\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{ client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f;"
            f" uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; access_log {root}/log/other.log;\n"
            f"{site(root, upstream, edge.http_port, edge.https_port)}\n}}\n"
        )
        assert NGINX is not None
        checked = subprocess.run([NGINX, "-t", "-q", "-c", str(config)], capture_output=True, text=True, timeout=20)
        assert checked.returncode == 0, checked.stderr
        process = subprocess.Popen([NGINX, "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while socket.socket().connect_ex(("127.0.0.1", edge.https_port)) != 0:
                assert time.monotonic() < deadline, (root / "log" / "error.log").read_text()
                time.sleep(0.05)
            yield edge
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(root, ignore_errors=True)
