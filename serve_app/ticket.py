"""The signed content of a session's cookie: who signed in, until when, under which password."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import astuple, dataclass
from typing import Literal

Role = Literal["administrador", "cliente"]

TICKET_MAX = 1024
"""Signs of a cookie that are looked at; ours have some 200."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A signed-in session. `version` is the password's; `expires_at_s` is in seconds since 1970."""

    session_id: str
    role: Role
    account_id: str
    version: int
    expires_at_s: int


def new_ticket(role: Role, account_id: str, version: int, expires_at_s: int) -> Ticket:
    """A ticket with an id that cannot be guessed."""
    return Ticket(secrets.token_urlsafe(18), role, account_id, version, expires_at_s)


def seal(ticket: Ticket, key: bytes) -> str:
    """The ticket and its HMAC-SHA256 under `key`, fit for a cookie."""
    body = base64.urlsafe_b64encode(json.dumps(astuple(ticket)).encode()).decode().rstrip("=")
    return f"{body}.{_mac(body, key, 'sessao')}"


def unseal(text: str, key: bytes, now_s: float) -> Ticket | None:
    """The ticket of a cookie; None when it was not sealed with `key`, or its time is over."""
    body, _, mac = text[:TICKET_MAX].rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(body, key, "sessao").encode()):
        return None
    try:
        ticket = Ticket(*json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
    except (ValueError, TypeError, binascii.Error):  # sealed by us, so of another version of the software
        return None
    return ticket if ticket.expires_at_s > now_s else None


def csrf_token(ticket: Ticket, key: bytes) -> str:
    """What a page must repeat in a header with every order that it gives under this session."""
    return _mac(ticket.session_id, key, "csrf")


def _mac(text: str, key: bytes, purpose: str) -> str:
    return hmac.new(key, f"{purpose}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
