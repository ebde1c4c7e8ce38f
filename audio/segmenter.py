"""Where utterances begin and end in a counter's stream: onset, pre-roll, hangover and the cap."""

from __future__ import annotations

from collections import deque

import numpy as np

from audio.endpointing import Endpointing
from audio.frames import FRAME_BYTES, FRAME_SAMPLES, FrameRing, cut_frames, dbfs_of, frames_of, mean_squares
from audio.gate import Gate
from audio.settings import SegmenterSettings
from audio.utterance import BYTES_PER_SAMPLE, CutReason, GateFigures, Utterance

ONSET_WINDOW_FRAMES = 5
ONSET_SPEECH_FRAMES = 3
"""Three frames of speech among five begin an utterance: a click or a coin is shorter, the shortest word is not."""
GOES_ON_WINDOW_FRAMES = 3
GOES_ON_SPEECH_FRAMES = 2
"""Within an utterance two of three prolong it; a lone frame does not, or noise would keep it open."""
PAUSE_FRAMES = 7
"""After a pause of 210 ms, longer than the closure of any plosive, speech must begin anew to go on."""
WAIT_FRAMES = 4
"""An end that is due waits at most 120 ms for what may be the soft beginning of more speech: three frames and one."""
LATEST_FRAMES = frames_of(1000)
"""How much of the latest speech tells how far it stands above the noise."""
CUT_SEARCH_FRAMES = frames_of(1200)
"""A cut at the cap is looked for in the last 1.2 s: running speech has a weak syllable in any such stretch."""
CUT_SMOOTH_FRAMES = 3
BACKGROUND_AFTER_FRAMES = 5
"""Frames that must follow speech before a frame counts as background: room echo and soft endings are over."""

_UNDECIDED = 1 << 30
_ONSET_MASK = (1 << ONSET_WINDOW_FRAMES) - 1
_GOES_ON_MASK = (1 << GOES_ON_WINDOW_FRAMES) - 1


class _Open:
    """An utterance that has begun and not ended. Frames are numbered from the stream's first one."""

    __slots__ = (
        "continues",
        "first_speech",
        "floor_dbfs",
        "hangover",
        "last_speech",
        "offered",
        "start",
        "threshold_dbfs",
        "verdicts",
    )

    def __init__(self, start: int, first_speech: int, last_speech: int, gate: Gate, continues: bool) -> None:
        self.start = start
        self.first_speech = first_speech
        self.last_speech = last_speech
        self.floor_dbfs = gate.noise_floor_dbfs
        self.threshold_dbfs = gate.threshold_dbfs
        self.hangover = _UNDECIDED
        """Frames of silence that end it; decided when the silence is long enough to matter."""
        self.offered = -1
        """The last frame of speech for which the utterance was offered."""
        self.continues = continues
        """True after a cut at the cap: this is the rest of an utterance, however short."""
        self.verdicts = bytearray()
        """One 0 or 1 a frame from `start` on."""


class Segmenter:
    """Cuts one session's PCM into utterances, as it comes.

    Feed it 16 kHz mono s16le in pieces of any size: a sample may even be split between two pieces, and the same stream
    gives the same utterances whatever the pieces. `first_sample` is the number of the first sample that will be fed
    (a resumed session goes on where it was). Pure: no clock; not for use by several threads at once.
    """

    def __init__(self, settings: SegmenterSettings, first_sample: int = 0) -> None:
        self._pre_roll = frames_of(settings.pre_roll_ms)
        self._endpointing = Endpointing(settings)
        self._tail = min(frames_of(settings.tail_ms), self._endpointing.least_frames)
        self._no_pause = min(PAUSE_FRAMES, self._endpointing.least_frames - 1)
        self._shortest = frames_of(settings.min_utterance_ms)
        self._cap = frames_of(settings.max_utterance_ms)
        self._gate = Gate(settings)
        self._first_sample = first_sample
        self._ring = FrameRing()
        self._background: deque[bytes] = deque(maxlen=frames_of(settings.background_ms))
        self._rest = b""
        self._next = 0
        """Number of the next frame."""
        self._free_from = 0
        """First frame that no utterance has taken yet."""
        self._history = 0
        """Verdicts of the latest frames, the newest in the lowest bit."""
        self._open: _Open | None = None
        self.dropped_short = 0
        """Stretches of speech that were shorter than `min_utterance_ms` and made no utterance."""

    @property
    def speaking(self) -> bool:
        """True between the onset of an utterance and its end."""
        return self._open is not None

    @property
    def samples_fed(self) -> int:
        """Number of the next sample to be fed: those fed so far, counted from the session's first one."""
        return self._first_sample + self._next * FRAME_SAMPLES + len(self._rest) // BYTES_PER_SAMPLE

    @property
    def safe_until(self) -> int:
        """Samples before this one are needed by no utterance that is open or to come. Never goes back."""
        return self._first_sample + self._needed_from() * FRAME_SAMPLES

    @property
    def noise_floor_dbfs(self) -> float:
        """The tracked level of the shop without speech."""
        return self._gate.noise_floor_dbfs

    @property
    def threshold_dbfs(self) -> float:
        """The level that a frame must reach now to be speech."""
        return self._gate.threshold_dbfs

    def feed(self, pcm: bytes) -> list[Utterance]:
        """Take the next bytes; return the utterances that end in them, in order."""
        block = self._rest + pcm
        whole = len(block) - len(block) % FRAME_BYTES
        if not whole:
            self._rest = block
            return []
        self._rest = block[whole:]
        frames, squares = cut_frames(block), mean_squares(block)
        self._ring.append(frames, squares)
        ended: list[Utterance] = []
        at, gate = 0, self._gate
        while at < len(frames):
            until = at + gate.run_length
            run = frames[at:until]
            self._walk(run, gate.judge(run, squares[at:until]), ended)
            gate.settle()
            at = until
        self._ring.forget_before(self._needed_from())
        return ended

    def patience_samples(self, *, offers: bool) -> int:
        """How many samples may gather before they are fed without anything coming of it later than it could have.

        An utterance ends after the shortest silence that may end one, at the earliest; where `offers` are looked for,
        one comes a tail after the last frame of speech; and either after enough speech for an utterance. So nobody need
        look at each piece while nobody speaks, or in the middle of a word: looking is dear, because between two pieces
        of a stream the machine has forgotten how (docs/decisions on the cost of a counter).
        """
        current = self._open
        silence = self._tail if offers else self._endpointing.least_frames
        if current is None:
            frames = self._shortest - self._history.bit_length() + silence
        else:
            silent = self._next - 1 - current.last_speech
            due = self._endpointing.least_frames if current.offered == current.last_speech else silence
            frames = min(due - silent, current.start + self._cap - self._next)
        return max(0, frames * FRAME_SAMPLES - len(self._rest) // BYTES_PER_SAMPLE)

    def offer(self) -> Utterance | None:
        """The open utterance as it will be emitted if nobody goes on speaking; once for each of its silences.

        It is complete once its tail is: what `feed` returns later at the end of this silence has the same samples. If
        speech goes on first, the offer was in vain.
        """
        current = self._open
        if current is None or current.offered == current.last_speech:
            return None
        end = current.last_speech + 1 + self._tail
        too_short = not current.continues and current.last_speech + 1 - current.first_speech < self._shortest
        if self._next < end or too_short or not any(current.verdicts):
            return None
        current.offered = current.last_speech
        return self._utterance(current, end, "silence")

    def certain_from(self, sample: int) -> tuple[int, bytes] | None:
        """The open utterance's first sample, and what from `sample` on is certain to be part of it, as far as it came.

        None while nobody speaks, or while what was said is too short to become an utterance. What may yet turn out to
        be the silence after its end, or to lie behind a cut at the cap, is not certain.
        """
        current = self._open
        if current is None or not any(current.verdicts):
            return None
        if not current.continues and current.last_speech + 1 - current.first_speech < self._shortest:
            return None
        latest_cut = current.start + self._cap - min(CUT_SEARCH_FRAMES, self._cap // 2)
        end = min(self._next, current.last_speech + 1 + self._tail, latest_cut)
        begin = max(current.start, (sample - self._first_sample) // FRAME_SAMPLES)
        return self._sample_of(current.start), self._ring.pcm(begin, end) if begin < end else b""

    def flush(self) -> list[Utterance]:
        """End of the stream: the open utterance, if there is one. What is fed afterwards begins a new stretch."""
        rest = self._rest[: len(self._rest) - len(self._rest) % BYTES_PER_SAMPLE]
        ended: list[Utterance] = []
        if self._open is not None:
            within_tail = self._next - self._open.last_speech <= self._tail
            utterance = self._close(self._open, "end", rest if within_tail else b"")
            ended = [] if utterance is None else [utterance]
        self._first_sample = self.samples_fed
        self._rest, self._ring = b"", FrameRing()
        self._next = self._free_from = self._history = 0
        return ended

    def _needed_from(self) -> int:
        if self._open is not None:
            return self._open.start
        return max(self._free_from, self._next - (ONSET_WINDOW_FRAMES - 1) - self._pre_roll)

    def _walk(self, frames: list[bytes], verdicts: list[bool], ended: list[Utterance]) -> None:
        current, count = self._open, len(verdicts)
        if current is None:
            if not self._history and True not in verdicts:  # nobody speaks: most of the day
                self._background.extend(frames)
                self._next += count
                return
        elif count > 1 and False not in verdicts and self._in_mid_word(current, count):
            current.verdicts += b"\1" * count
            self._history = (self._history << count | (1 << count) - 1) & _ONSET_MASK
            self._next += count
            current.last_speech, current.hangover = self._next - 1, _UNDECIDED
            return
        at = 0
        while at < count:
            if self._open is None:
                at = self._await_onset(frames, verdicts, at)
            else:
                at = self._follow(self._open, frames, verdicts, at, ended)

    def _in_mid_word(self, current: _Open, count: int) -> bool:
        """Whether `count` frames of speech, two or more, can only prolong the utterance: no pause to doubt, no cap."""
        silent = self._next + 1 - current.last_speech
        return silent <= self._no_pause and self._next + count - current.start < self._cap

    def _await_onset(self, frames: list[bytes], verdicts: list[bool], begin: int) -> int:
        """Go through the frames from `begin` on until an utterance begins; the index after the last one looked at."""
        history, background = self._history, self._background
        for at in range(begin, len(verdicts)):
            speech = verdicts[at]
            history = (history << 1 | speech) & _ONSET_MASK
            if speech and history.bit_count() >= ONSET_SPEECH_FRAMES:
                self._begin(self._next + at - begin, history)
                break
            if not history:
                background.append(frames[at])
        self._history = history
        self._next += at + 1 - begin
        return at + 1

    def _follow(
        self, current: _Open, frames: list[bytes], verdicts: list[bool], begin: int, ended: list[Utterance]
    ) -> int:
        """Go through the frames from `begin` on until the open utterance ends; the index after the last one seen."""
        history, number, least = self._history, self._next, self._endpointing.least_frames
        for at in range(begin, len(verdicts)):
            speech = verdicts[at]
            history = (history << 1 | speech) & _ONSET_MASK
            current.verdicts.append(speech)
            if speech and self._goes_on(number - current.last_speech, history):
                current.last_speech, current.hangover = number, _UNDECIDED
            elif not history:
                self._background.append(frames[at])
            silent = number - current.last_speech
            number += 1
            if silent >= least and current.hangover == _UNDECIDED:
                current.hangover = self._hangover_of(current)
            over = silent >= current.hangover and self._over(silent - current.hangover, history, number - 1)
            if over or number - current.start >= self._cap:
                self._history, self._next = history, number
                utterance = self._close(current, "silence") if over else self._cut(current)
                if utterance is not None:
                    ended.append(utterance)
                return at + 1
        self._history, self._next = history, number
        return len(verdicts)

    def _over(self, late: int, history: int, number: int) -> bool:
        """Whether the silence is to be believed now: what may be the first frames of more speech is waited for.

        A level that rises counts too: a soft consonant is louder than the shop before webrtcvad takes it for speech.
        """
        if late >= WAIT_FRAMES:
            return True
        return not history & _GOES_ON_MASK and self._ring.square(number) < self._gate.rising_square

    @staticmethod
    def _goes_on(silent: int, history: int) -> bool:
        if silent > PAUSE_FRAMES:
            return history.bit_count() >= ONSET_SPEECH_FRAMES
        return (history & _GOES_ON_MASK).bit_count() >= GOES_ON_SPEECH_FRAMES

    def _hangover_of(self, current: _Open) -> int:
        end = current.last_speech + 1
        latest = self._ring.squares(max(current.start, end - LATEST_FRAMES), end)
        snr_db = dbfs_of(float(latest.mean())) - self._gate.noise_floor_dbfs
        return self._endpointing.hangover_frames(end - current.first_speech, snr_db)

    def _begin(self, number: int, history: int) -> None:
        first_speech = number - history.bit_length() + 1
        start = max(self._free_from, first_speech - self._pre_roll)
        self._open = _Open(start, first_speech, number, self._gate, continues=False)
        quiet = first_speech - start
        self._open.verdicts += bytes(quiet) + bytes(
            history >> (number - at) & 1 for at in range(first_speech, number + 1)
        )

    def _close(self, current: _Open, reason: CutReason, rest: bytes = b"") -> Utterance | None:
        """End the open utterance; None when it was too short to be one."""
        self._open = None
        self._history = 0
        end = min(self._next, current.last_speech + 1 + self._tail)
        if not any(current.verdicts):
            return None  # after a cut at the cap nothing more was said
        if not current.continues and current.last_speech + 1 - current.first_speech < self._shortest:
            self.dropped_short += 1
            return None
        self._free_from = end
        return self._utterance(current, end, reason, rest)

    def _cut(self, current: _Open) -> Utterance | None:
        """The cap: end at the quietest place of the last stretch, and go on from there without losing a sample."""
        if not any(current.verdicts):
            return self._close(current, "silence")
        searched = min(CUT_SEARCH_FRAMES, self._cap // 2)
        squares = self._ring.squares(self._next - searched, self._next)
        smooth = np.convolve(squares, np.ones(CUT_SMOOTH_FRAMES), "valid")
        cut = self._next - searched + int(np.argmin(smooth)) + CUT_SMOOTH_FRAMES // 2
        following = _Open(cut, cut, max(cut, current.last_speech), self._gate, continues=True)
        following.verdicts += current.verdicts[cut - current.start :]
        del current.verdicts[cut - current.start :]
        current.last_speech = min(current.last_speech, cut - 1)
        self._open, self._free_from = following, cut
        return self._utterance(current, cut, "cap")

    def _utterance(self, current: _Open, end: int, reason: CutReason, rest: bytes = b"") -> Utterance:
        pcm = self._ring.pcm(current.start, end)
        squares = self._ring.squares(current.start, end)
        gate = GateFigures(
            noise_floor_start_dbfs=current.floor_dbfs,
            noise_floor_end_dbfs=self._gate.noise_floor_dbfs,
            threshold_start_dbfs=current.threshold_dbfs,
            threshold_end_dbfs=self._gate.threshold_dbfs,
            frames=end - current.start,
            speech_frames=sum(current.verdicts[: end - current.start]),
            rms_mean_dbfs=dbfs_of(float(squares.mean())),
            rms_max_dbfs=dbfs_of(float(squares.max())),
        )
        return Utterance(
            first_sample=self._sample_of(current.start),
            speech_end_sample=self._sample_of(min(end, current.last_speech + 1)),
            pcm=pcm + rest,
            background_pcm=b"".join(self._background),
            gate=gate,
            cut_reason=reason,
        )

    def _sample_of(self, frame: int) -> int:
        return self._first_sample + frame * FRAME_SAMPLES
