"""How long a silence must be to end an utterance."""

from __future__ import annotations

from audio.frames import frames_of
from audio.settings import SegmenterSettings

LONG_AFTER_FRAMES = frames_of(2100)
"""Speech so far from which an utterance counts as long: a greeting or a yes is over sooner, and often goes on."""
NOISY_BELOW_DB = 20.0
"""Speech less than this above the noise floor loses the weak edges of its words to the noise, so pauses look longer."""


class Endpointing:
    """Decides the hangover of each silence, once it has lasted `least_frames`.

    An utterance that is long already is likely a whole one: it may end early; a short one is given time to go on. One
    that stands little above the noise is given more, because its pauses look longer than they are. The settings say by
    how much.
    """

    __slots__ = ("_early", "_late", "_usual", "least_frames")

    def __init__(self, settings: SegmenterSettings) -> None:
        self._usual = frames_of(settings.hangover_ms)
        self._early = max(1, frames_of(settings.hangover_ms - settings.long_earlier_ms))
        self._late = frames_of(settings.hangover_ms + settings.noisy_later_ms)
        self.least_frames = min(self._usual, self._early)

    def hangover_frames(self, speech_frames: int, snr_db: float) -> int:
        """Frames of silence that end an utterance with so much speech (first to last frame) at this SNR."""
        late = self._late - self._usual if snr_db < NOISY_BELOW_DB else 0
        return (self._early if speech_frames >= LONG_AFTER_FRAMES else self._usual) + late
