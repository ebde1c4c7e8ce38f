"""Seals what lies on a disk (AES-256-GCM): the outbox's rows and kept audio, with keys that can be changed."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deployments.telemetry.errors import SealBroken
from deployments.telemetry.rows import Row

KEY_BYTES = 32
NONCE_BYTES = 12
"""Random for every seal (NIST SP 800-38D, 96 bits); 2^32 seals a key are safe, a hundred years of a busy chain."""
MARK = "s1:"
"""How a sealed payload begins; a plain one is JSON and begins with a brace."""


def parse_keys(text: str) -> tuple[bytes, ...]:
    """The keys in `text`: base64 of 32 bytes each, separated by commas; the first one seals, all of them open.

    Raises ValueError, which says how to make one and never quotes it.
    """
    keys = tuple(_key(part.strip()) for part in text.split(",") if part.strip())
    if not keys:
        raise ValueError("storage_key: no key in it; make one with: openssl rand -base64 32")
    return keys


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("storage_key: not base64 of 32 bytes; make one with: openssl rand -base64 32")
    return key


class Seal:
    """Seals with the first of `keys` (32 bytes each) and opens with any of them; without keys it lets plain pass."""

    def __init__(self, keys: tuple[bytes, ...] = ()) -> None:
        self._ciphers = [AESGCM(key) for key in keys]

    @property
    def on(self) -> bool:
        """Whether there is a key."""
        return bool(self._ciphers)

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """`plain` sealed, nonce first, so that it opens only where `bound_to` is the same. Needs a key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """What was sealed. Raises SealBroken where no key opens it."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
            except (InvalidTag, ValueError):
                continue
        raise SealBroken("sealed with a key that is not in BALTO_STORAGE_KEY: put that key behind the present one")

    def seal_row(self, row: Row) -> Row:
        """The row as it is kept: its payload sealed where there is a key."""
        if not self.on:
            return row
        sealed = self.seal(row.payload.encode(), row.row_id)
        return replace(row, payload=MARK + base64.b64encode(sealed).decode())

    def open_row(self, row: Row) -> Row:
        """The row as it was recorded; one that was kept without a key comes back as it is. Raises SealBroken."""
        if not row.payload.startswith(MARK):
            return row
        opened = self.open(base64.b64decode(row.payload[len(MARK) :]), row.row_id)
        return replace(row, payload=opened.decode())
