"""Kept audio lies sealed, goes with its session or its age, and is never kept unless switched on."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr
from telemetry_fakes import FakeStore
from test_sealing import OLD

from deployments.telemetry.audio_folder import AudioFolder, AudioSettings, KeptAudio
from deployments.telemetry.errors import OutboxFull, SealBroken
from deployments.telemetry.sealing import Seal, parse_keys
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.stage import Telemetry

SESSION, UTTERANCE = str(uuid.uuid4()), str(uuid.uuid4())
PCM = b"\x01\x02" * 16_000


def audio(day: int = 22, session: str = SESSION) -> KeptAudio:
    return KeptAudio(session, UTTERANCE, datetime(2026, 11, day, 12, tzinfo=timezone.utc), PCM)


@pytest.fixture
def folder(tmp_path: Path) -> AudioFolder:
    return AudioFolder(tmp_path / "audio", Seal(parse_keys(OLD)))


def files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_audio_comes_back_as_it_was_and_lies_sealed(folder: AudioFolder, tmp_path: Path):
    folder.keep(audio())
    folder.keep(audio())
    [path] = files(tmp_path)
    assert PCM[:100] not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert folder.of_session(SESSION) == [UTTERANCE]
    assert folder.read(SESSION, UTTERANCE) == PCM
    assert folder.read(SESSION, SESSION) is None
    with pytest.raises(SealBroken):
        AudioFolder(tmp_path / "audio", Seal()).read(SESSION, UTTERANCE)


def test_it_goes_with_its_session_or_when_it_is_old(folder: AudioFolder, tmp_path: Path):
    other = str(uuid.uuid4())
    folder.keep(audio(1))
    folder.keep(audio(22))
    folder.keep(audio(22, other))
    assert folder.forget_before(date(2026, 11, 10)) == 1
    assert folder.forget_session(SESSION) == 1
    assert (folder.of_session(SESSION), folder.of_session(other)) == ([], [UTTERANCE])
    assert len(files(tmp_path)) == 1


def test_names_that_are_no_ids_reach_no_file(folder: AudioFolder, tmp_path: Path):
    with pytest.raises(ValueError, match="UUID"):
        folder.keep(audio(session="../../etc"))
    assert folder.of_session("../*") == []
    assert folder.forget_session("*") == 0
    assert files(tmp_path) == []


def test_a_disk_that_is_short_of_space_keeps_nothing(tmp_path: Path):
    with pytest.raises(OutboxFull, match="min_free_mb"):
        AudioFolder(tmp_path, Seal(parse_keys(OLD)), min_free_bytes=1 << 60).keep(audio())
    assert files(tmp_path) == []


@pytest.mark.parametrize("on", [True, False])
async def test_the_stage_keeps_audio_only_where_it_is_switched_on(tmp_path: Path, on: bool):
    settings = TelemetrySettings(
        store="sqlite",
        state_dir=tmp_path,
        storage_key=SecretStr(OLD),
        audio=AudioSettings(keep=on, min_free_mb=0),
    )
    stage = Telemetry(settings, make_store=lambda _: FakeStore())
    assert await stage.keep_audio(audio()) is on
    assert await stage.kept_audio(SESSION, UTTERANCE) == (PCM if on else None)
    assert settings.audio_dir.exists() is on
    assert stage._forget_old_audio(audio().at + timedelta(days=31)) == int(on)
    await stage.close()
