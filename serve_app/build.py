"""Settings become the deployment graph: the only file that binds deployments."""

# No `from __future__ import annotations` here: Serve reads the builder's real annotation to validate `args`.
import logging
import os
from typing import Any, cast

from ray import serve
from ray.serve import Application

from deployments.recommender.stage import Recommender
from deployments.speech_to_text import providers
from deployments.speech_to_text.stage import SpeechToText
from deployments.telemetry.stage import Telemetry
from deployments.voice.stage import Voice
from serve_app.ingress import CounterIngress
from serve_app.metrics import RayMetrics
from serve_app.settings import BaltoSettings, Environment, with_environment

log = logging.getLogger("balto.build")

FAST_INGRESS_FLAGS = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")


def build_app(args: BaltoSettings) -> Application:
    """The application of serve_config.yaml: `args`, with the environment on top, wired into five deployments.

    How many replicas each has, and how it scales, is said under `deployments:` in that file. Raises ValidationError or
    ProviderNotUsable, naming the setting.
    """
    settings = with_environment(args, Environment())
    providers.resolve(settings.speech_to_text)
    _warn_of_slow_ingress()
    metrics = RayMetrics()
    return _bind(
        CounterIngress,
        settings,
        _bind(Voice, settings.voice, metrics),
        _bind(SpeechToText, settings.speech_to_text, metrics),
        _bind(Recommender, settings.recommender, metrics),
        _bind(Telemetry, settings.telemetry, metrics),
    )


def _bind(stage: type, *args: object) -> Application:
    """A deployment named after its class; everything else about it is said in serve_config.yaml."""
    deployment = cast("serve.Deployment", serve.deployment(_closing(stage), name=stage.__name__))
    return deployment.bind(*args)


def _closing(stage: Any) -> type:
    """`stage`, closed when Serve stops its replica: Serve awaits `__del__` then."""

    class Replica(stage):  # type: ignore[misc]
        async def __del__(self) -> None:
            await self.close()

    Replica.__name__ = Replica.__qualname__ = stage.__name__
    Replica.__doc__ = stage.__doc__
    return Replica


def _warn_of_slow_ingress() -> None:
    missing = [flag for flag in FAST_INGRESS_FLAGS if os.environ.get(flag) != "1"]
    if missing:
        log.warning(
            "slow_ingress missing=%s: without these in the environment before Ray starts, a counter costs about eight "
            "times as much; `make run` sets them",
            ",".join(missing),
        )
