"""Audio that a pharmacy has switched on to be kept: sealed files on this node's disk, by day and session."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deployments.telemetry.errors import OutboxFull
from deployments.telemetry.sealing import Seal

_SUFFIX = ".s16le.sealed"


class AudioSettings(BaseModel):
    """Whether audio is kept, and for how long. Off unless a pharmacy has a reason and has told its customers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: bool = False
    """Keep the audio of every utterance that was recognised, sealed with `storage_key`, which must then be set."""
    days: float = Field(30, gt=0, le=365)
    min_free_mb: int = Field(2000, ge=0, le=10_000_000)
    """Free space of the disk below which nothing more is kept; an hour of speech is 115 MB."""


@dataclass(frozen=True, slots=True)
class KeptAudio:
    """One utterance's audio: 16 kHz mono s16le. Ids are UUIDs; `at` is aware."""

    session_id: str
    utterance_id: str
    at: datetime
    pcm: bytes


class AudioFolder:
    """The sealed files below `directory`. Not for the event loop: every method works on the disk."""

    def __init__(self, directory: Path, seal: Seal, min_free_bytes: int = 0) -> None:
        self._directory = directory
        self._seal = seal
        self._min_free_bytes = min_free_bytes

    def keep(self, audio: KeptAudio) -> None:
        """Write one file, whole or not at all; again: the same. Raises ValueError, OSError, OutboxFull."""
        path = self._path(audio.at.astimezone(timezone.utc).date(), audio.session_id, audio.utterance_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < self._min_free_bytes:
            raise OutboxFull("the disk has less free space than audio.min_free_mb")
        unfinished = path.with_suffix(".part")
        descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._seal.seal(audio.pcm, audio.utterance_id))
        unfinished.replace(path)

    def of_session(self, session_id: str) -> list[str]:
        """The utterances of a session whose audio is kept."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self._files(session_id))

    def read(self, session_id: str, utterance_id: str) -> bytes | None:
        """An utterance's audio, 16 kHz mono s16le; None where none is kept. Raises SealBroken."""
        for path in self._files(session_id):
            if path.name.removesuffix(_SUFFIX) == utterance_id:
                return self._seal.open(path.read_bytes(), utterance_id)
        return None

    def forget_session(self, session_id: str) -> int:
        """Delete a session's audio; returns how many files."""
        files = self._files(session_id)
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def forget_before(self, day: date) -> int:
        """Delete what was kept of days before `day`; returns how many files."""
        gone = 0
        for folder in self._directory.glob("????-??-??"):
            if folder.name < day.isoformat():
                gone += sum(1 for _ in folder.glob(f"*/*{_SUFFIX}"))
                shutil.rmtree(folder)
        return gone

    def _files(self, session_id: str) -> list[Path]:
        try:
            session = UUID(session_id)
        except ValueError:  # no session of ours
            return []
        return list(self._directory.glob(f"????-??-??/{session}/*{_SUFFIX}"))

    def _path(self, day: date, session_id: str, utterance_id: str) -> Path:
        return self._directory / day.isoformat() / str(UUID(session_id)) / f"{UUID(utterance_id)}{_SUFFIX}"
