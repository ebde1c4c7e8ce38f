"""The names of the providers of speech recognition, as settings, metrics and rows write them."""

from __future__ import annotations

from typing import Literal

ProviderName = Literal["elevenlabs", "assemblyai", "local", "demonstracao"]
