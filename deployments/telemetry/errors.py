"""How telemetry fails.

    TelemetryError
    ├── StoreUnavailable     the database cannot be reached or cannot serve now        retryable
    ├── StoreRefused         the database refuses these rows: retrying will not help
    ├── OutboxError          rows cannot be kept on the local disk                     retryable
    │   ├── SealBroken       what is kept was sealed with a key that is not there
    │   ├── OutboxFull       the outbox or its disk holds no more rows
    │   └── OutboxFailed     the outbox cannot be read or written
    ├── EmailTaken           a client of this e-mail exists
    ├── KeyTaken             a counter of this key exists
    ├── UnknownClient        no client of this code
    ├── UnknownCounter       no counter of this id
    └── EmbeddedFailed       the embedded PostgreSQL cannot be started or stopped

All of them cross processes. None carries a row's contents.
"""

from __future__ import annotations

from typing import ClassVar


class TelemetryError(Exception):
    """Anything telemetry could not do."""

    retryable: ClassVar[bool] = False


class StoreUnavailable(TelemetryError):
    """The database cannot be reached, or cannot serve now; the text names the kind of fault only."""

    retryable = True


class StoreRefused(TelemetryError):
    """The database refuses these rows for what they hold; the text names the kind of fault only."""


class OutboxError(TelemetryError):
    """Rows cannot be kept on the local disk. Nothing of the call was recorded."""

    retryable = True


class SealBroken(OutboxError):
    """What lies on the disk was sealed with a key that is not there; nothing of it is lost once the key is back."""


class OutboxFull(OutboxError):
    """The outbox has reached `outbox_max_mb`, its disk is full, or too many rows wait for it."""


class OutboxFailed(OutboxError):
    """The outbox's file cannot be read or written."""


class EmailTaken(TelemetryError):
    """A client of this e-mail exists already."""


class KeyTaken(TelemetryError):
    """A counter of this key exists already."""


class UnknownClient(TelemetryError):
    """No client has this code."""


class UnknownCounter(TelemetryError):
    """No counter has this id."""


class EmbeddedFailed(TelemetryError):
    """The embedded PostgreSQL cannot be started or stopped; the text says why and where its log lies."""
