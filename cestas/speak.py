"""Whether an utterance asks for anything, or tells of an emergency: its words with the names masked, judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from cestas.entities import extract, reading_of
from cestas.intent import asks, cues_of, is_personal
from cestas.judge import Judgement
from cestas.lexicon import Lexicon
from cestas.matching import Hit
from cestas.text import BREAK, Words

_MASKS = {"sintoma": "#queixa", "doenca": "#queixa", "pedido": "#pedido", "contexto": "#ocasiao"}
_STEMMED_FROM = 5
"""Letters from which a word counts by its stem; shorter ones ("tem", "tomo", "quer") say most as they stand."""
_LENGTH_STEP, _LENGTHS = 4, 5
_ALARM_WORDS_AT_LEAST = 4
"""Words below which only the phrases of red flags count: "estou grávida" tells who somebody is, no more."""
_MOST_COMPLAINTS, _MOST_MEDICINES = 4, 2


@lru_cache(maxsize=64)
def judged(text: str, lexicon: Lexicon) -> Judgement:
    """What `text` sounds like to the lexicon's judge; the last few answers are remembered."""
    words = [word for word in reading_of(text, lexicon).words.words if word != BREAK]
    return lexicon.judge.judge(features(text, lexicon), words)


def is_worth_speaking(text: str, lexicon: Lexicon) -> bool:
    """True when `text` sounds like a need of somebody here, rather than talk, a question, a refusal or an emergency."""
    return judged(text, lexicon).need >= lexicon.judge.need_at


def is_alarming(text: str, lexicon: Lexicon) -> bool:
    """True when `text` sounds like an emergency, whether or not a phrase of a red flag is in it."""
    said = [word for word in reading_of(text, lexicon).words.words if word != BREAK]
    return len(said) >= _ALARM_WORDS_AT_LEAST and judged(text, lexicon).alarm >= lexicon.judge.alarm_at


def features(text: str, lexicon: Lexicon) -> frozenset[str]:
    """Words, pairs, and triples around a name, where names of products and complaints are masked; cues and counts."""
    reading = reading_of(text, lexicon)
    words, entities = reading.words, extract(text, lexicon)
    tokens = list(_tokens(words, reading.things, reading.troubles, lexicon))
    found = {*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))}
    triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
    found.update(f"{a} {b} {c}" for a, b, c in triples if "#" in a + b + c)
    found.update(f"@{name}" for name in cues_of(words))
    found.add(f"@queixas={min(_MOST_COMPLAINTS, len(entities.symptoms) + len(entities.diseases))}")
    found.add(f"@remedios={min(_MOST_MEDICINES, len(entities.medicines))}")
    found.add(f"@palavras={min(_LENGTHS, len(words.words) // _LENGTH_STEP)}")
    flags = {"@pessoal": is_personal(words), "@pede": asks(words), "@situacao": bool(entities.situations)}
    found.update(name for name, holds in flags.items() if holds)
    return frozenset(found)


def _tokens(words: Words, things: Sequence[Hit], troubles: Sequence[Hit], lexicon: Lexicon) -> Iterator[str]:
    masks: dict[int, str] = {}
    for hit in troubles:
        _cover(masks, words, hit, _MASKS[lexicon.complaints[hit.name].kind])
    for hit in things:
        _cover(masks, words, hit, "#artigo" if lexicon.products[hit.name].kind == "artigo" else "#remedio")
    last = "^"
    yield last
    for at, word in enumerate(words.words):
        token = masks.get(at) or _plain(words, at, word)
        if token != last:
            yield token
        last = token
    yield "$"


def _cover(masks: dict[int, str], words: Words, hit: Hit, mask: str) -> None:
    for at in range(words.content[hit.first], words.content[hit.last] + 1):
        masks[at] = mask


def _plain(words: Words, at: int, word: str) -> str:
    if word == BREAK:
        return "?" if words.quote(at, at) == "?" else BREAK
    if word.isdigit():
        return "0"
    return words.stems[at] if len(word) >= _STEMMED_FROM else word
