"""Makes a whole Whisper model that is tiny and knows nothing: random weights, so that no test fetches gigabytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperConfig, WhisperSpec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WIDTH = 32
HEADS = 2
LAYERS = 1
MELS = 80
FRAMES = 1500
CONTEXT = 448
VOCABULARY = 51_865
"""The size of a multilingual Whisper."""

SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|pt|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def make(directory: Path, *, multilingual: bool = True, seed: int = 7) -> Path:
    """Write the model's files into `directory`; the same `seed` makes the same model."""
    directory.mkdir(parents=True, exist_ok=True)
    tokens = _tokens(multilingual)
    _spec(tokens, np.random.default_rng(seed)).save(str(directory))
    _tokenizer(tokens).save(str(directory / "tokenizer.json"))
    return directory


def _tokens(multilingual: bool) -> list[str]:
    """Bytes, made-up words, what Whisper steers with, and its 1,501 instants, which come last.

    A multilingual Whisper has a token without a letter: CTranslate2 knows it by that.
    """
    instants = [f"<|{step / 50:.2f}|>" for step in range(1501)]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġpalavra{number}" for number in range(VOCABULARY - len(letters) - len(SPECIAL) - len(instants))]
    words[-1] = "" if multilingual else words[-1]
    return [*letters, *words, *SPECIAL, *instants]


def _tokenizer(tokens: list[str]) -> Tokenizer:
    first_special = tokens.index(SPECIAL[0])
    vocabulary = {token: number for number, token in enumerate(tokens[:first_special])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(tokens[first_special:])
    return tokenizer


def _spec(tokens: list[str], random: np.random.Generator) -> WhisperSpec:
    spec = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)

    def weights(*shape: int) -> Any:
        return (random.standard_normal(shape) * 0.2).astype(np.float32)

    def linear(into: Any, rows: int, columns: int) -> None:
        into.weight, into.bias = weights(rows, columns), weights(rows)

    def norm(into: Any) -> None:
        into.gamma, into.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def layer(into: Any, *, decoder: bool) -> None:
        norm(into.self_attention.layer_norm)
        linear(into.self_attention.linear[0], 3 * WIDTH, WIDTH)
        linear(into.self_attention.linear[1], WIDTH, WIDTH)
        if decoder:
            norm(into.attention.layer_norm)
            linear(into.attention.linear[0], WIDTH, WIDTH)
            linear(into.attention.linear[1], 2 * WIDTH, WIDTH)
            linear(into.attention.linear[2], WIDTH, WIDTH)
        norm(into.ffn.layer_norm)
        linear(into.ffn.linear_0, 4 * WIDTH, WIDTH)
        linear(into.ffn.linear_1, WIDTH, 4 * WIDTH)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weights(WIDTH, MELS, 3), weights(WIDTH)
    encoder.conv2.weight, encoder.conv2.bias = weights(WIDTH, WIDTH, 3), weights(WIDTH)
    encoder.position_encodings.encodings = weights(FRAMES, WIDTH)
    decoder.position_encodings.encodings = weights(CONTEXT, WIDTH)
    decoder.embeddings.weight = weights(VOCABULARY, WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for one in encoder.layer:
        layer(one, decoder=False)
    for one in decoder.layer:
        layer(one, decoder=True)
    spec.register_vocabulary(tokens)
    number = {token: at for at, token in enumerate(tokens)}
    steering = [number[token] for token in SPECIAL]
    spec._config = WhisperConfig(
        suppress_ids=steering[1:-1], suppress_ids_begin=[steering[0]], lang_ids=[number["<|pt|>"], number["<|en|>"]]
    )
    spec.validate()
    spec.optimize(quantization="int8")
    return spec
