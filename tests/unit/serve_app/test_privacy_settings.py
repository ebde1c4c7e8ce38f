"""Settings of privacy: audio is kept only where a key seals it, and the environment brings the key."""

from __future__ import annotations

import base64

import pytest

from serve_app.settings import BaltoSettings, Environment, with_environment

KEY = base64.b64encode(b"k" * 32).decode()


def test_audio_without_a_key_that_seals_it_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BALTO_STORAGE_KEY", raising=False)
    wanted = BaltoSettings.model_validate({"telemetry": {"audio": {"keep": True}}})
    with pytest.raises(ValueError, match="set BALTO_STORAGE_KEY to a key: openssl rand -base64 32"):
        with_environment(wanted, Environment(_env_file=None))
    monkeypatch.setenv("BALTO_STORAGE_KEY", KEY)
    effective = with_environment(wanted, Environment(_env_file=None))
    assert effective.telemetry.seal.on
    assert effective.door.session.keep_audio
    assert KEY not in repr(effective)


def test_nothing_is_kept_by_default_beyond_its_term():
    settings = BaltoSettings()
    assert not settings.door.session.keep_audio
    assert (settings.telemetry.retention.text_days, settings.telemetry.retention.figures_days) == (90, 730)
