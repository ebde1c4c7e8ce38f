"""Which model confirms that an utterance holds speech, and what stands in when it cannot be loaded."""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audio.silero import Silero, SileroUnavailable

log = logging.getLogger("balto.voice")


class Confirmer(Protocol):
    """Says how sure it is that there is speech."""

    name: str

    def confidence(self, samples: NDArray[np.float32], enough: float) -> float:
        """Probability of speech, 0..1; may stop looking once it has found `enough`."""


class Bypass:
    """Lets everything pass."""

    name = "bypass"

    def confidence(self, samples: NDArray[np.float32], enough: float) -> float:
        """Certain."""
        return 1.0


def make_confirmer(kind: str) -> Confirmer:
    """The confirmer that the settings ask for; the bypass, with one warning, when it cannot be loaded."""
    if kind == "off":
        return Bypass()
    try:
        return Silero()
    except SileroUnavailable as error:
        log.warning("confirmer_unavailable", extra={"confirmer": kind, "error": str(error)})
        return Bypass()
