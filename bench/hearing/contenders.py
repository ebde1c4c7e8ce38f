"""The chains that are compared: ours, webrtcvad alone, the previous generation's rules, and Silero alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from audio.frames import FRAME_BYTES, FRAME_SAMPLES, cut_frames, mean_squares, to_float
from audio.gate import Gate
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from audio.silero import CONTEXT_SAMPLES, STEP_SAMPLES, Silero
from deployments.voice.settings import VoiceSettings


@dataclass(frozen=True)
class Segment:
    """One segment sent on, in samples; `speech_end` is where the chain believes that speech ended."""

    start: int
    speech_end: int
    end: int
    emitted: int
    capped: bool = False
    """Cut at the longest length: no split that a pause made."""


@dataclass(frozen=True)
class Heard:
    """What a chain made of a stream."""

    flags: NDArray[np.bool_]
    segments: tuple[Segment, ...]
    cpu_s: float


Contender = Callable[[bytes], Heard]


def classic(flags: NDArray[np.bool_], hangover_ms: int, pre_roll_ms: int, onset: int) -> tuple[Segment, ...]:
    """Textbook endpointing: `onset` frames in a row begin, `hangover_ms` of none end, all of the hangover is sent."""
    hangover, pre_roll = hangover_ms // 30, pre_roll_ms // 30
    found, start, run, last = [], -1, 0, 0
    for number, flag in enumerate(flags):
        run = run + 1 if flag else 0
        last = number if flag else last
        if start < 0 and run >= onset:
            start = max(0, number - run + 1 - pre_roll)
        elif start >= 0 and number - last >= hangover:
            found.append(_segment(start, last + 1, number + 1))
            start = -1
    if start >= 0:
        found.append(_segment(start, last + 1, len(flags)))
    return tuple(found)


def _segment(start: int, speech_end: int, end: int) -> Segment:
    return Segment(start * FRAME_SAMPLES, speech_end * FRAME_SAMPLES, end * FRAME_SAMPLES, end * FRAME_SAMPLES)


def webrtc_alone(mode: int) -> Contender:
    """webrtcvad with the hangover and the pre-roll of ours."""

    def hear(pcm: bytes) -> Heard:
        began, vad = time.process_time(), webrtcvad.Vad(mode)
        flags = np.array([vad.is_speech(frame, 16_000) for frame in cut_frames(pcm)])
        return Heard(flags, classic(flags, 600, 390, 3), time.process_time() - began)

    return hear


def previous_generation(pcm: bytes) -> Heard:
    """EMA floor (alpha .05, on frames that webrtcvad mode 3 rejects) x 1.8, at least RMS 120, override at 1.5 x."""
    began, vad, flags = time.process_time(), webrtcvad.Vad(3), []
    squares = mean_squares(pcm).tolist()
    floor = squares[0] ** 0.5
    for frame, square in zip(cut_frames(pcm), squares, strict=True):
        rms, voiced = square**0.5, vad.is_speech(frame, 16_000)
        threshold = max(120.0, 1.8 * floor)
        if not voiced:
            floor += 0.05 * (rms - floor)
        flags.append(rms > threshold and (voiced or rms > 1.5 * threshold))
    return Heard(np.array(flags), classic(np.array(flags), 900, 600, 1), time.process_time() - began)


def silero_alone(model: Silero, hangover_ms: int = 600) -> Contender:
    """Silero VAD at .5, its 32 ms steps read on our 30 ms frames, with a fixed hangover and the pre-roll of ours."""

    def hear(pcm: bytes) -> Heard:
        began = time.process_time()
        samples = to_float(pcm)
        steps = len(samples) // STEP_SAMPLES
        padded = np.concatenate([np.zeros(CONTEXT_SAMPLES, np.float32), samples])
        views = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT_SAMPLES + STEP_SAMPLES)
        probabilities = model.probabilities(np.ascontiguousarray(views[::STEP_SAMPLES][:steps]))
        middles = (np.arange(len(pcm) // FRAME_BYTES) * FRAME_SAMPLES + FRAME_SAMPLES // 2) // STEP_SAMPLES
        flags = probabilities[np.minimum(middles, steps - 1)] >= 0.5
        return Heard(flags, classic(flags, hangover_ms, 390, 3), time.process_time() - began)

    return hear


def ours(settings: SegmenterSettings, model: Silero | None) -> Contender:
    """The service's own code: the segmenter frame by frame (exact delays), then the voice stage's confirmation."""
    threshold = VoiceSettings().confirm_threshold

    def hear(pcm: bytes) -> Heard:
        began, segmenter, segments = time.process_time(), Segmenter(settings), []
        for at in range(0, len(pcm) + FRAME_BYTES, FRAME_BYTES):
            chunk = pcm[at : at + FRAME_BYTES]
            for one in segmenter.feed(chunk) if chunk else segmenter.flush():
                if model is None or model.confidence(to_float(one.pcm), threshold) >= threshold:
                    emitted = segmenter.samples_fed
                    segments.append(
                        Segment(
                            one.first_sample, one.speech_end_sample, one.end_sample, emitted, one.cut_reason == "cap"
                        )
                    )
        return Heard(gate_flags(pcm, settings), tuple(segments), time.process_time() - began)

    return hear


def gate_flags(pcm: bytes, settings: SegmenterSettings) -> NDArray[np.bool_]:
    """The gate's verdict on every frame."""
    gate, frames, squares = Gate(settings), cut_frames(pcm), mean_squares(pcm)
    flags: list[bool] = []
    while len(flags) < len(frames):
        run = slice(len(flags), len(flags) + gate.run_length)
        flags += gate.judge(frames[run], squares[run])
        gate.settle()
    return np.array(flags)
