"""Silero VAD without torch: how sure a small neural model is that there is speech in an utterance."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.utterance import SAMPLE_RATE_HZ

STEP_SAMPLES = 512
CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
"""Inputs of `silero_vad_16k_sequence.onnx` (silero-vad 6.2): 64 samples of context before every 512 new ones."""
LOUDEST_STEPS = SAMPLE_RATE_HZ // STEP_SAMPLES
LONGEST_STEPS = 10 * LOUDEST_STEPS
SPEECH_STEPS = 5
"""The confidence is the fifth highest probability: 160 ms that the model takes for speech, the length of a syllable."""


class SileroUnavailable(Exception):
    """The model or its runtime is not installed or cannot be loaded."""


class Silero:
    """Silero VAD's whole-segment model: first on the loudest second, then, if that was no speech, on all of it.

    Constructing it loads onnxruntime and the model (0.2 s, 60 MB) and runs it once; raises SileroUnavailable. One
    instance may be used by several threads.
    """

    name = "silero"

    def __init__(self) -> None:
        try:
            self._session = _open_session(_model_path())
            self.probabilities(np.zeros((1, CONTEXT_SAMPLES + STEP_SAMPLES), dtype=np.float32))
        except Exception as error:  # whatever hinders it, the service hears on without it
            raise SileroUnavailable(type(error).__name__) from error

    def confidence(self, samples: NDArray[np.float32], enough: float) -> float:
        """The SPEECH_STEPS-th highest probability over steps of 32 ms; of at most the first 10 s."""
        windows = _windows(samples[: LONGEST_STEPS * STEP_SAMPLES])
        loudest = _loudest(windows)
        found = _sure(self.probabilities(windows[loudest]))
        if found >= enough or len(windows) <= LOUDEST_STEPS:
            return found
        return max(found, _sure(self.probabilities(windows)))

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of speech of every step of 32 ms; `windows`: shape (steps, 576), each step behind its context."""
        state = np.zeros(_STATE_SHAPE, dtype=np.float32)
        answer = self._session.run(["speech_probs"], {"input": windows, "h": state, "c": state})
        return np.asarray(answer[0], dtype=np.float32).reshape(-1)


def _model_path() -> Path:
    """Found without importing the package, which would need torch."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("silero_vad")
    return Path(spec.submodule_search_locations[0]) / "data" / "silero_vad_16k_sequence.onnx"


def _open_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _windows(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Steps of 512 samples, each behind the 64 before it; the end is padded with zeros. Shape (steps, 576)."""
    steps = max(1, -(-len(samples) // STEP_SAMPLES))
    padded = np.zeros(CONTEXT_SAMPLES + steps * STEP_SAMPLES, dtype=np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    views = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT_SAMPLES + STEP_SAMPLES)
    return np.ascontiguousarray(views[::STEP_SAMPLES])


def _loudest(windows: NDArray[np.float32]) -> slice:
    """The second with the most energy."""
    if len(windows) <= LOUDEST_STEPS:
        return slice(None)
    energies = np.cumsum(np.concatenate(([0.0], np.einsum("ij,ij->i", windows, windows))))
    start = int(np.argmax(energies[LOUDEST_STEPS:] - energies[:-LOUDEST_STEPS]))
    return slice(start, start + LOUDEST_STEPS)


def _sure(probabilities: NDArray[np.float32]) -> float:
    rank = min(SPEECH_STEPS, len(probabilities))
    return float(np.sort(probabilities)[-rank])
