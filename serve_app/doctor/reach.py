"""What can be reached: the service, its database, its public address and certificate, and whether clocks agree."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from deployments.telemetry import schema
from deployments.telemetry.settings import TelemetrySettings
from serve_app.doctor.finding import Finding, ok, warning, wrong

TIMEOUT_S: Final = 5.0
SKEW_WARN_S: Final = 2.0
SKEW_WRONG_S: Final = 30.0
CERTIFICATE_WARN_DAYS: Final = 14
CERTIFICATE_WRONG_DAYS: Final = 3
OUTBOX_WARN_S: Final = 300.0


def health(base_url: str, token: str | None) -> dict[str, Any] | None:
    """`/saude` of the service at `base_url`, all of it with the administrator's token; None where nobody answers."""
    request = urllib.request.Request(base_url.rstrip("/") + "/saude")  # noqa: S310 - http and https, checked by the caller
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            found = json.load(answer)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "estado" in found else None


def service(found: dict[str, Any] | None) -> Iterator[Finding]:
    """What the service on this machine says of itself."""
    if found is None:
        yield warning("service", "it does not answer on this machine", "make run, or systemctl start balto")
        return
    if found["estado"] == "ok":
        yield ok("service", "every part is there")
    else:
        parts = sorted(name for name, part in found.items() if isinstance(part, dict) and part.get("degraded"))
        which = f": {', '.join(parts)}" if parts else ""
        yield wrong("service", f"degraded{which}", "docs/operating.md, Health: what each part's figures mean")
    yield from _outbox(found.get("registro"))


def _outbox(record: Any) -> Iterator[Finding]:
    if not isinstance(record, dict) or "outbox_rows" not in record:
        return
    said = f"{record['outbox_rows']} rows wait, the oldest for {record['outbox_oldest_s']:.0f} s"
    if record["outbox_oldest_s"] > OUTBOX_WARN_S:
        yield wrong("outbox", said, "the database: is it up, is its disk full? nothing is lost while rows wait")
    else:
        yield ok("outbox", said)
    if record.get("rows_set_aside"):
        todo = "the telemetry replica's log: row_set_aside"
        yield warning("outbox", f"the database refused {record['rows_set_aside']} rows for good", todo)


def database(settings: TelemetrySettings, url: str | None) -> Finding:
    """Whether the database can be reached and its schema is ours. `url`: PostgreSQL's; None: there is none to ask."""
    if settings.store == "sqlite":
        return _sqlite(settings.sqlite_file)
    if url is None:
        return ok("database", "the embedded PostgreSQL, which runs while the service does")
    try:
        revision, skew_s = asyncio.run(_ask(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError, ValueError) as exc:
        todo = "is it up; are host, port, name, user and password right (DATABASE_URL or POSTGRES_*)?"
        return wrong("database", f"it cannot be used: {type(exc).__name__}", todo)
    if abs(skew_s) > SKEW_WARN_S:
        return warning("database", f"its clock differs by {skew_s:.0f} s", "timedatectl set-ntp true, on both machines")
    return _revision(revision)


async def _ask(url: str) -> tuple[str | None, float]:
    connection = await asyncpg.connect(url, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
    try:
        now_s = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
        skew_s = now_s - time.time()
        try:
            return await connection.fetchval("SELECT version_num FROM alembic_version"), skew_s
        except asyncpg.UndefinedTableError:
            return None, skew_s
    finally:
        connection.terminate()


def _sqlite(path: Path) -> Finding:
    if not path.exists():
        return ok("database", f"{path} is made at the first start")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=TIMEOUT_S)) as db:
            row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as exc:
        return wrong("database", f"{path}: {type(exc).__name__}", "restore it from a copy, or name another: DB_FILE")
    return _revision(row[0] if row else None)


def _revision(revision: str | None) -> Finding:
    if revision == schema.HEAD:
        return ok("database", f"reachable, schema {revision}")
    if revision is None:
        return ok("database", "reachable and empty: the first start makes the schema")
    if revision < schema.HEAD:
        return ok("database", f"reachable, schema {revision}: the next start brings it to {schema.HEAD}")
    return wrong(
        "database", f"its schema {revision} is newer than this software ({schema.HEAD})", "run the newer version"
    )


def certificate(url: str, context: ssl.SSLContext | None = None, now_s: float | None = None) -> Finding:
    """Until when the certificate of an https address is good. `context`: whom to believe; None: the system's list."""
    place = urlsplit(url)
    if place.scheme != "https" or place.hostname is None:
        return wrong(
            "certificate", f"{url} is not https: keys and voices go in plain", "TLS in front: ops/nginx/README.md"
        )
    context = context or ssl.create_default_context()
    try:
        with (
            socket.create_connection((place.hostname, place.port or 443), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=place.hostname) as secure,
        ):
            ends = str((secure.getpeercert() or {}).get("notAfter", ""))
    except ssl.SSLCertVerificationError as exc:
        return wrong("certificate", f"it is not believed: {exc.verify_message}", "certbot certificates; certbot renew")
    except OSError as exc:
        todo = "DNS, the firewall (443), nginx: systemctl status nginx"
        return wrong("certificate", f"{place.hostname} cannot be reached by TLS: {type(exc).__name__}", todo)
    days = (ssl.cert_time_to_seconds(ends) - (time.time() if now_s is None else now_s)) / 86400
    said, todo = f"good for another {days:.0f} days", "certbot renew --dry-run says why it is not renewed"
    if days < CERTIFICATE_WRONG_DAYS:
        return wrong("certificate", said, todo)
    return warning("certificate", said, todo) if days < CERTIFICATE_WARN_DAYS else ok("certificate", said)


def address(url: str, context: ssl.SSLContext | None = None) -> Iterator[Finding]:
    """What the public address answers, and whether its clock agrees with ours."""
    handler = urllib.request.HTTPSHandler(context=context) if context else urllib.request.HTTPSHandler()
    try:
        opener = urllib.request.build_opener(handler)
        with opener.open(url.rstrip("/") + "/saude", timeout=TIMEOUT_S) as answer:
            state, date = json.load(answer).get("estado"), answer.headers.get("Date", "")
    except urllib.error.HTTPError as exc:
        todo = "nginx reaches nobody: is the service up, is BALTO_UPSTREAM its port?"
        yield wrong("address", f"{url} answers {exc.code}", todo)
        return
    except (OSError, ValueError, AttributeError) as exc:
        yield wrong("address", f"{url} does not answer: {type(exc).__name__}", "DNS, the firewall, nginx")
        return
    yield ok("address", f"{url} answers") if state == "ok" else warning("address", f"{url} says {state}", "see service")
    yield from _clock(date)


def _clock(date: str) -> Iterator[Finding]:
    try:
        skew_s = parsedate_to_datetime(date).timestamp() - time.time()
    except (TypeError, ValueError):
        return
    said = f"this machine's clock and the address's differ by {abs(skew_s):.0f} s"
    if abs(skew_s) > SKEW_WRONG_S:
        yield wrong("clock", said, "timedatectl set-ntp true: sessions and certificates depend on it")
    elif abs(skew_s) > SKEW_WARN_S:
        yield warning("clock", said, "timedatectl set-ntp true")
    else:
        yield ok("clock", said)
