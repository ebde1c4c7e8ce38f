"""Settings become the deployment graph: the only file that binds deployments."""

# No `from __future__ import annotations` here: Serve reads the builder's real annotation to validate `args`.
import functools
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from deployments.metrics import Metrics
from deployments.recommender.settings import RecommenderSettings
from deployments.recommender.stage import Recommender
from deployments.speech_to_text import providers
from deployments.speech_to_text.listening import check_listening
from deployments.speech_to_text.stage import SpeechToText
from deployments.telemetry.stage import Telemetry
from deployments.voice.stage import Voice
from serve_app.ingress import CounterIngress, OutcomesHandle, counter_app
from serve_app.log_fields import add_fields
from serve_app.metrics import RayMetrics, repeat_gauges
from serve_app.scaling import StageLoad
from serve_app.settings import BaltoSettings, Environment, missing_fast_flags, with_environment

log = logging.getLogger("balto.build")

_TIMED = {"examine", "transcribe", "advise"}
THREAD_SWITCH_S = 0.001
"""How long a thread that computes may keep Python's lock from the event loop; the default of 5 ms shows."""


def build_app(args: BaltoSettings) -> Application:
    """The application of serve_config.yaml: `args`, with the environment on top, wired into five deployments.

    How many replicas each has, and how it scales, is said under `deployments:` in that file. Raises ValidationError or
    ProviderNotUsable, naming the setting.
    """
    settings = with_environment(args, Environment())
    providers.resolve(settings.speech_to_text)
    check_listening(settings.speech_to_text)
    _warn_of_slow_ingress()
    metrics = RayMetrics()
    telemetry = _bind(_replica_of(Telemetry), settings.telemetry, metrics)
    return _bind(
        serve.ingress(counter_app)(_replica_of(CounterIngress)),
        settings,
        _bind(_replica_of(Voice), settings.voice, metrics),
        _bind(_replica_of(SpeechToText), settings.speech_to_text, metrics),
        _bind(_replica_of(_LearningRecommender, "Recommender"), settings.recommender, metrics, telemetry),
        telemetry,
    )


def _bind(replica: type, *args: object) -> Application:
    """A deployment named after its class; everything else about it is said in serve_config.yaml."""
    deployment = cast("serve.Deployment", serve.deployment(replica, name=replica.__name__))
    return deployment.bind(*args)


class _LearningRecommender(Recommender):
    """The recommender with the telemetry stage's handle: the order of items is learned from what became of them."""

    def __init__(self, settings: RecommenderSettings, metrics: Metrics, telemetry: DeploymentHandle[Any]) -> None:
        super().__init__(settings, metrics, outcomes=OutcomesHandle(telemetry))


def _replica_of(stage: Any, name: str = "") -> type:
    """`stage` as Serve runs it: its log goes where the replica's goes, it is closed when its replica stops, and it says
    how long utterances spend in it."""

    class Replica(stage):  # type: ignore[misc]
        def __init__(self, *args: Any) -> None:
            _log_where_serve_logs()
            sys.setswitchinterval(THREAD_SWITCH_S)
            super().__init__(*args)
            self._stage_load = StageLoad()

        async def record_autoscaling_stats(self) -> dict[str, float]:  # Serve asks every replica for it
            return self._stage_load.figures()

        async def check_health(self) -> None:  # Serve calls it every health_check_period_s
            repeat_gauges()
            if hasattr(stage, "warm"):  # connections that will be needed, opened before they are
                self.warm()

        async def __del__(self) -> None:  # Serve awaits this
            await self.close()

    for method in _TIMED & set(dir(stage)):
        setattr(Replica, method, _timed(getattr(stage, method)))
    Replica.__name__ = Replica.__qualname__ = name or stage.__name__
    Replica.__doc__ = stage.__doc__
    return Replica


def _timed(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`method` of a stage, whose request says how much of its time is left, with its duration noted."""

    @functools.wraps(method)
    async def timed(self: Any, request: Any) -> Any:
        number = self._stage_load.came(request.budget_s)
        try:
            return await method(self, request)
        finally:
            self._stage_load.went(number)

    return timed


def _log_where_serve_logs() -> None:
    """Send our loggers to the replica's log file, in its format and at the level of `logging_config`.

    Without an access log Serve still makes a line of every call, for its file to throw away: it is not made.
    """
    serve_log, ours = logging.getLogger("ray.serve"), logging.getLogger("balto")
    ours.handlers = serve_log.handlers
    add_fields(ours.handlers)
    ours.setLevel(serve_log.level)
    ours.propagate = False
    kept = [getattr(one, "__name__", "") for handler in serve_log.handlers for one in handler.filters]
    if "log_access_log_filter" in kept:
        serve_log.setLevel(max(serve_log.level, logging.WARNING))


def _warn_of_slow_ingress() -> None:
    missing = missing_fast_flags()
    if missing:
        log.warning(
            "slow_ingress missing=%s: without these in the environment before Ray starts, a counter costs about eight "
            "times as much; `make run` sets them",
            ",".join(missing),
        )
