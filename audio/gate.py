"""Is this frame speech? The shop's noise floor, tracked through talk, and the gate that stands on it."""

from __future__ import annotations

from collections import deque

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from audio.frames import FRAME_SAMPLES, dbfs_of, mean_square_of
from audio.settings import SegmenterSettings
from audio.utterance import SAMPLE_RATE_HZ

UPDATE_FRAMES = 16
"""The floor is looked at again every 480 ms, counted from the stream's first frame whatever the chunks."""
LONG_FRAMES = 13 * UPDATE_FRAMES
RECENT_FRAMES = 3 * UPDATE_FRAMES
LOW_QUANTILE = 0.05
"""Dense talk (80 % speech) leaves a fifth of 6 s to the pauses: a twentieth lies well inside them."""
STEADY_SPREAD_DB = 6.0
"""P90 - P10 of the recent levels: stationary noise stays under it, running speech spreads over 15 dB and more."""
_STEADY_RATIO = 10.0 ** (STEADY_SPREAD_DB / 10.0)
RISING_DB = 2.5
"""A frame so far above the floor is more than the shop: frames of a steady noise stray by about a decibel."""
STEADY_REFUSED_SHARE = 0.9
"""Or: nearly all of it is loud enough and yet no speech to webrtcvad."""
RISE_DB_PER_UPDATE = 1.0
"""While somebody talks the floor may climb by 2 dB a second at most; it falls at once."""
SPREAD_SHARE = 0.75
"""A noise that wanders needs a wider margin than a hum: at least this share of the way from its P5 to its median."""
FLOOR_MIN_DBFS = -72.0
FLOOR_MAX_DBFS = -12.0
FLOOR_AT_START_DBFS = -60.0
"""Taken (or less) until 1.5 s have been heard: a stream that begins with talk must not take the talk for the floor."""
THRESHOLD_MIN_DBFS = -68.0
"""Digital silence and the last bits of a converter are never speech; a whisper at -52 dBFS stands 16 dB above."""


class NoiseFloor:
    """The level of the shop without speech, in dBFS.

    Two views of the levels, judged every UPDATE_FRAMES frames: a steady recent stretch (little spread, or loud and
    refused by webrtcvad) *is* the noise, so its median becomes the floor at once, upwards too, and what came
    before it is forgotten; otherwise the low quantile of the long window plus what separates the quantile from the
    median in this noise, which talk cannot lift because its pauses are in the window.
    """

    __slots__ = ("_filled", "_refused", "_settled", "_squares", "dbfs", "spread_db")

    def __init__(self) -> None:
        self.dbfs = FLOOR_AT_START_DBFS
        self._squares = np.empty(2 * LONG_FRAMES)
        self._filled = 0
        self._refused = deque([0], maxlen=RECENT_FRAMES // UPDATE_FRAMES)
        """Loud frames that were no speech, in each of the latest stretches of UPDATE_FRAMES; the newest at the end."""
        self.spread_db = 1.0
        """From the low quantile to the median of this noise, measured while it was steady."""
        self._settled = False

    @property
    def until_update(self) -> int:
        """How many frames may be pushed before `settle` must be called."""
        return UPDATE_FRAMES - self._filled % UPDATE_FRAMES

    def push(self, mean_squares: NDArray[np.float64], refused: int) -> None:
        """Take frames, at most `until_update` of them: their mean squares, and how many were loud and yet no speech."""
        end = self._filled + len(mean_squares)
        self._squares[self._filled : end] = mean_squares
        self._refused[-1] += refused
        self._filled = end

    def settle(self) -> bool:
        """Move `dbfs` when UPDATE_FRAMES have come since the last time; whether it did."""
        if self._filled % UPDATE_FRAMES:
            return False
        self._update()
        self._refused.append(0)
        if self._filled == 2 * LONG_FRAMES:
            self._keep_last(LONG_FRAMES)
        return True

    def _update(self) -> None:
        recent = self._latest(RECENT_FRAMES)
        recent.sort()
        if len(recent) == RECENT_FRAMES and self._steady(recent):
            self._settled = True
            median = dbfs_of(float(recent[RECENT_FRAMES // 2]))
            self.spread_db = median - dbfs_of(float(recent[int(LOW_QUANTILE * RECENT_FRAMES)]))
            self._move_to(median)
            self._keep_last(RECENT_FRAMES)
            return
        window = self._latest(LONG_FRAMES)
        rank = int(LOW_QUANTILE * len(window))
        window.partition(rank)
        low = dbfs_of(float(window[rank])) + self.spread_db
        highest = self.dbfs + RISE_DB_PER_UPDATE
        if not self._settled and self._filled <= RECENT_FRAMES:
            highest = FLOOR_AT_START_DBFS
        self._move_to(min(low, highest))

    def _steady(self, recent: NDArray[np.float64]) -> bool:
        tenth = RECENT_FRAMES // 10
        if recent[-1 - tenth] <= _STEADY_RATIO * recent[tenth]:
            return True
        return sum(self._refused) >= STEADY_REFUSED_SHARE * RECENT_FRAMES

    def _latest(self, frames: int) -> NDArray[np.float64]:
        return self._squares[max(0, self._filled - frames) : self._filled].copy()

    def _move_to(self, dbfs: float) -> None:
        self.dbfs = min(FLOOR_MAX_DBFS, max(FLOOR_MIN_DBFS, dbfs))

    def _keep_last(self, frames: int) -> None:
        end = self._filled
        self._squares[:frames] = self._squares[end - frames : end].copy()
        self._filled = frames


class Gate:
    """webrtcvad AND loud enough: a frame is speech when both say so.

    Loud enough is `threshold_dbfs`: the noise floor plus the margin (more in a noise that wanders), and never below the
    absolute floor that the counter asked for (`min_energy_rms`) or THRESHOLD_MIN_DBFS. webrtcvad is asked about loud
    frames only: most of a day is not loud, and its own noise model is none the worse (docs/decisions on hearing).
    Use: `judge` at most `run_length` frames, then `settle`.
    """

    __slots__ = ("_floor", "_lowest_dbfs", "_margin_db", "_threshold_square", "_vad", "threshold_dbfs")

    def __init__(self, settings: SegmenterSettings) -> None:
        self._vad = webrtcvad.Vad(settings.webrtcvad_mode)
        self._floor = NoiseFloor()
        self._margin_db = settings.margin_db
        wanted = settings.min_energy_rms
        self._lowest_dbfs = max(THRESHOLD_MIN_DBFS, dbfs_of(wanted * wanted) if wanted else THRESHOLD_MIN_DBFS)
        self._set_threshold()

    @property
    def noise_floor_dbfs(self) -> float:
        """The tracked level of the shop without speech."""
        return self._floor.dbfs

    @property
    def run_length(self) -> int:
        """How many frames may be judged by the threshold in force."""
        return self._floor.until_update

    @property
    def rising_square(self) -> float:
        """The mean square from which a frame is louder than the shop, speech or not."""
        return mean_square_of(self._floor.dbfs + RISING_DB)

    def judge(self, frames: list[bytes], mean_squares: NDArray[np.float64]) -> list[bool]:
        """Whether each of the next frames (30 ms of s16le; their mean squares) is speech; at most `run_length`."""
        loud: list[bool] = (mean_squares >= self._threshold_square).tolist()
        if True not in loud:
            self._floor.push(mean_squares, 0)
            return loud
        is_speech = self._vad.is_speech
        verdicts = [
            one and is_speech(frame, SAMPLE_RATE_HZ, FRAME_SAMPLES) for one, frame in zip(loud, frames, strict=True)
        ]
        self._floor.push(mean_squares, loud.count(True) - verdicts.count(True))
        return verdicts

    def settle(self) -> None:
        """Move floor and threshold on, when it is time."""
        if self._floor.settle():
            self._set_threshold()

    def _set_threshold(self) -> None:
        margin_db = max(self._margin_db, SPREAD_SHARE * self._floor.spread_db)
        self.threshold_dbfs = max(self._lowest_dbfs, self._floor.dbfs + margin_db)
        self._threshold_square = mean_square_of(self.threshold_dbfs)
