"""What was configured: keys and their shapes, the pharmacy's catalogues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from cestas.check import problems
from serve_app.doctor.finding import Finding, ok, warning, wrong
from serve_app.settings import BaltoSettings, Environment

ADMIN_SECRET_MIN_CHARS: Final = 24
_KEY_MIN_CHARS: Final = 20
_PLACEHOLDER: Final = re.compile(r"change|example|placeholder|your|xxx|\.\.\.|todo", re.IGNORECASE)
_BEGINS: Final = {"openai_api_key": "sk-", "xai_api_key": "xai-"}
_STT: Final = ("elevenlabs_api_key", "assemblyai_api_key")
_LLM: Final = ("openai_api_key", "xai_api_key", "compatible_api_key")


def keys(environment: Environment) -> Iterator[Finding]:
    """Whether there are keys and whether they look like keys; they themselves are never said."""
    for name in (*_STT, *_LLM):
        value: SecretStr | None = getattr(environment, name)
        if value is not None:
            yield _shape(name.upper(), value.get_secret_value(), _BEGINS.get(name, ""))
    if not any(getattr(environment, name) for name in _STT):
        todo = "set ELEVENLABS_API_KEY or ASSEMBLYAI_API_KEY before customers are in front of it"
        yield warning("recogniser", "no key: the demonstration recogniser speaks, which is not a product", todo)
    if not any(getattr(environment, name) for name in _LLM):
        yield ok("language model", "no key: the rules answer alone")
    yield _admin_secret(environment.admin_secret)


def _shape(name: str, value: str, begins: str) -> Finding:
    todo = f"copy {name} again from the provider's console, without quotes or spaces"
    if value != value.strip() or re.search(r"[\s'\"]", value) or not value.isascii():
        return wrong(name, "it holds spaces, quotes or signs that keys do not have", todo)
    if _PLACEHOLDER.search(value) or len(value) < _KEY_MIN_CHARS:
        return wrong(name, "it is too short to be a key, or a placeholder", todo)
    if begins and not value.startswith(begins):
        return warning(name, f"it does not begin with {begins}, as this provider's keys do", todo)
    return ok(name, "it is there and looks like a key")


def _admin_secret(secret: SecretStr | None) -> Finding:
    if secret is None:
        return ok("ADMIN_SECRET", "not set: `make run` makes one in the state directory")
    value = secret.get_secret_value()
    if len(value) < ADMIN_SECRET_MIN_CHARS or _PLACEHOLDER.search(value) or len(set(value)) < 8:
        return wrong("ADMIN_SECRET", "it can be guessed", "openssl rand -base64 32")
    return ok("ADMIN_SECRET", "it is there and long enough")


def storage_key(environment: Environment) -> Finding:
    """Whether the outbox is sealed at rest. The key's shape is checked with the settings."""
    if environment.balto_storage_key is None:
        todo = "BALTO_STORAGE_KEY: openssl rand -base64 32, or an encrypted disk (docs/privacy.md)"
        return warning(
            "BALTO_STORAGE_KEY", "not set: rows lie in the outbox in plain until the database has them", todo
        )
    return ok("BALTO_STORAGE_KEY", "the outbox is sealed")


def catalogues(settings: BaltoSettings) -> Iterator[Finding]:
    """Whether the pharmacy's knowledge, and each client's own, can be used."""
    yield _catalogue("catalogue", problems())
    folder = settings.recommender.catalogues.dir
    if folder is None:
        return
    if not folder.is_dir():
        yield wrong("catalogues", f"{folder} is not a folder", "recommender.catalogues.dir in serve_config.yaml")
        return
    for client in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield _catalogue(
            f"catalogue {client.name}", problems(_there(client / "cestas.json"), _there(client / "produtos.json"))
        )


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _catalogue(check: str, found: list[str]) -> Finding:
    if not found:
        return ok(check, "no mistakes")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return wrong(check, f"{found[0]}{more}", "docs/catalogues.md; python -m cestas.check lists all of it")
