"""A question to another deployment: its method's handle, made once, a time limit, and one more try."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from ray.exceptions import RayError, RayTaskError
from ray.serve.handle import DeploymentHandle

from serve_app.stages import StageTimeout, StageUnavailable
from serve_app.time_limit import time_limit

log = logging.getLogger("balto.ingress")

_SERIALIZATION: Final = "pickle"
"""Requests and answers are classes of modules, which plain pickle writes in half the time of Serve's cloudpickle."""


class Methods:
    """A deployment's methods by name, each behind a handle that is made once: to make one is a tenth of a call."""

    def __init__(self, deployment: DeploymentHandle[Any]) -> None:
        self._deployment = deployment
        self._handles: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._handles:
            self._handles[name] = self._deployment.options(
                method_name=name, request_serialization=_SERIALIZATION, response_serialization=_SERIALIZATION
            )
        return self._handles[name]


async def ask(stage: Methods, method: str, *args: Any, timeout_s: float, **kwargs: Any) -> Any:
    """Call a stage's `method`, once more when its replica died: calls are idempotent.

    Raises StageTimeout, StageUnavailable, or what the stage itself raised.
    """
    deadline = time.monotonic() + timeout_s
    for last_try in (False, True):
        response = stage[method].remote(*args, **kwargs)
        try:
            async with time_limit(max(0.001, deadline - time.monotonic())):
                return await response
        except asyncio.CancelledError:  # an offer that was in vain: the stage need not go on
            response.cancel()
            raise
        except asyncio.TimeoutError:
            response.cancel()
            raise StageTimeout(method) from None
        except RayTaskError as exc:  # without the throughput flags the stage's own exception arrives wrapped
            raise exc.cause from None
        except RayError as exc:
            if last_try:
                raise StageUnavailable(type(exc).__name__) from None
            log.warning("stage_retry method=%s error=%s", method, type(exc).__name__)
    raise StageUnavailable(method)
