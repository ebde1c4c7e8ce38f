"""The service with a voice stage and a recogniser that take their time: one utterance at once, .25 s each."""

# No `from __future__ import annotations` here: Serve reads the builder's real annotation to validate `args`.
import asyncio
from typing import Any, Final

from ray.serve import Application

from deployments.speech_to_text.stage import SpeechToText as FastSpeechToText
from deployments.voice.stage import Voice as FastVoice
from serve_app.build import _bind, _replica_of
from serve_app.build import build_app as build_fast_app
from serve_app.settings import BaltoSettings

SERVICE_S: Final = 0.25
"""60 counters say some 10 things a second (offers included): 2.4 replicas would be busy all the time."""


class Voice(FastVoice):
    """The voice stage."""

    async def examine(self, request: Any) -> Any:
        """As it does, later."""
        await asyncio.sleep(SERVICE_S)
        return await super().examine(request)


class SpeechToText(FastSpeechToText):
    """The recogniser."""

    async def transcribe(self, request: Any) -> Any:
        """As it does, later."""
        await asyncio.sleep(SERVICE_S)
        return await super().transcribe(request)


def build_app(args: BaltoSettings) -> Application:
    """As `serve_app.build.build_app`, with these two in the place of theirs."""
    built: Any = build_fast_app(args)
    settings, voice, speech_to_text, recommender, telemetry = built._bound_deployment.init_args
    slow = []
    for stage, fast in ((Voice, voice), (SpeechToText, speech_to_text)):
        slow.append(_bind(_replica_of(stage), *fast._bound_deployment.init_args))
    ingress: Any = built._bound_deployment.func_or_class
    return _bind(ingress, settings, *slow, recommender, telemetry)
