"""How Brazilian Portuguese spelling sounds, written in the phones of an English acoustic model (ARPAbet)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VOWELS = "aeiouáéíóúâêôãõàüEO"
_ACCENTED = re.compile("[áéíóúâêô]|ã|õ")
_STRESS_LAST = re.compile(rf"([iu]s?|[lrzx]|[iou]m|uns|ins)$|[{_VOWELS}](i|u)s?$")


@dataclass(frozen=True, slots=True)
class Accent:
    """The choices that spelling does not settle: is a stressed e/o open, and what stands in for the tapped r."""

    stressed_e: str
    stressed_o: str
    tap: str


ACCENTS = (
    Accent("EH", "AO", "R"),
    Accent("EY", "OW", "R"),
    Accent("EH", "AO", "D"),
    Accent("EY", "OW", "D"),
)
"""English has no tapped r: its r and the d of "ladder" are the nearest two."""

_V = f"[{_VOWELS}]"
_FRONT = "[eEiéêí]"
_RULES: tuple[tuple[str, str], ...] = (
    # Consonants of two letters, and those that depend on their neighbours.
    ("ch|sh", "SH"),
    ("lh", "L Y"),
    ("nh", "N Y"),
    ("ss", "S"),
    (f"[sx]c(?={_FRONT})", "S"),
    ("rr|(?<!\\w)r|(?<=[nls])r", "HH"),
    (f"(?<={_V})r(?={_V})", "tap"),
    ("r", "R"),
    (f"qu(?={_FRONT})", "K"),
    ("q[uü]", "K W"),
    (f"gu(?={_FRONT})", "G"),
    (f"g[uü](?={_V})", "G W"),
    (f"g(?={_FRONT})|j", "ZH"),
    (f"c(?={_FRONT})|ç", "S"),
    ("[ckq]", "K"),
    (f"(?<=\\be)x(?={_V})", "Z"),
    ("x", "SH"),
    (f"(?<={_V})s(?={_V})", "Z"),
    ("z\\b", "S"),
    ("z", "Z"),
    ("s", "S"),
    ("t(?=[ií]|es?\\b)", "CH"),
    ("d(?=[ií]|es?\\b)", "JH"),
    ("h", ""),
    # Nasal vowels; in front of p and b the m is heard.
    ("ão\\b|am\\b", "AW N"),
    ("ãe", "AY N"),
    ("õe", "OY N"),
    ("ão", "AW N"),
    ("[aãâ](?=m[pb])", "AH"),
    ("[eê](?=m[pb])", "EY"),
    (f"[ãâa]n(?![{_VOWELS}h])|ã", "AH N"),
    (f"[eéê][nm](?![{_VOWELS}hpb])", "EY N"),
    (f"[ií][nm](?![{_VOWELS}hpb])", "IY N"),
    (f"[oô][nm](?![{_VOWELS}hpb])", "OW N"),
    (f"[uú][nm](?![{_VOWELS}hpb])", "UW N"),
    ("õ", "OW N"),
    # Diphthongs, and the l that closes a syllable.
    ("[aá]i(?!n|m)", "AY"),
    (f"[aá]u|[aá]l(?![{_VOWELS}h])", "AW"),
    ("[eê]i", "EY"),
    ("éi", "EH IY"),
    (f"[eéê]u|[eéê]l(?![{_VOWELS}h])", "EH UW"),
    ("[oó]i", "OY"),
    ("ou", "OW"),
    (f"[ií]l(?![{_VOWELS}h])", "IY UW"),
    (f"[uú]l(?![{_VOWELS}h])", "UW"),
    ("ui", "W IY"),
    ("i(?=[ao]s?\\b)", "IY"),
    # Vowels: final ones are weak, accented ones say how open they are, stressed ones are the accent's choice.
    ("a(?=s?\\b)", "AH"),
    ("e(?=s?\\b)", "IY"),
    ("o(?=s?\\b)", "UW"),
    ("E", "stressed_e"),
    ("O", "stressed_o"),
    ("é", "EH"),
    ("ó", "AO"),
    ("[aáàâ]", "AA"),
    ("[eê]", "EH"),
    ("[ií]", "IY"),
    ("[oô]", "OW"),
    ("[uúü]", "UW"),
    ("y", "IY"),
    ("w", "W"),
    ("([bdfglmnptv])", "same"),
)
_COMPILED = tuple((re.compile(pattern), phones) for pattern, phones in _RULES)


def pronunciations(phrase: str) -> tuple[str, ...]:
    """The ways to say `phrase` (lower case, words separated by spaces or hyphens), as ARPAbet phones between spaces.

    At most one per `ACCENTS`, without repeats. Raises ValueError on a letter that no rule reads.
    """
    words = [mark_stress(word) for word in re.split("[ -]", phrase) if word]
    said = (" ".join(_phones(word, accent) for word in words) for accent in ACCENTS)
    return tuple(dict.fromkeys(said))


def mark_stress(word: str) -> str:
    """`word` with an unaccented stressed e or o in upper case: cabeça → cabEça, dor → dOr, gripe → gripe."""
    if _ACCENTED.search(word):
        return word
    nuclei = [match.start() for match in re.finditer("[aeo]?[iu](?![aeo])|[aeiou]", word.replace("qu", "qw"))]
    if len(nuclei) < 1 or word in {"de", "do", "os", "o", "e", "se", "que", "em", "com", "por", "no", "nos"}:
        return word
    at = nuclei[-1] if len(nuclei) == 1 or _STRESS_LAST.search(word) else nuclei[-2]
    if word[at] not in "eo" or re.match("[eo](?:[iunm]|l(?![aeiou]))", word[at:]):
        return word
    return word[:at] + word[at].upper() + word[at + 1 :]


def _phones(word: str, accent: Accent) -> str:
    phones: list[str] = []
    at = 0
    while at < len(word):
        match, sound = _first_rule(word, at)
        at = match.end()
        if sound == "same":
            phones.append(match.group(1).upper())
        elif sound:
            phones.append(getattr(accent, sound, sound))
    return " ".join(phones)


def _first_rule(word: str, at: int) -> tuple[re.Match[str], str]:
    for pattern, sound in _COMPILED:
        if match := pattern.match(word, at):
            return match, sound
    raise ValueError(f"no rule reads the letter {word[at]!r}")
