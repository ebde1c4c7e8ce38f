"""Recognises what speech recognition makes up on noise and silence: subtitle credits, thanks for watching, loops."""

from __future__ import annotations

import re

from cestas.text import fold

_CREDITS = re.compile(
    r"legendas? (?:por|pela|feitas?|da comunidade|automaticas?)|legendado por|amara ?\.? ?org|traducao e legendas|"
    r"transcricao (?:por|e legendas)|revisao (?:por|e sincronia)|sincronizacao|"
    r"obrigad[oa]s? por (?:assistir|ver o video|acompanhar|ouvir)|inscreva-?se|se inscreva|"
    r"deixe? (?:o )?(?:seu )?(?:like|joinha)|ative o sininho|ate o proximo video|no proximo video|"
    r"compartilhe (?:o |este )?video|www\.|\.com\b|https?:|^\W*(?:musica|aplausos|risos|silencio|ruido)\W*$|"
    r"[\[(♪](?:musica|aplausos|risos|silencio|ruido)|todos os direitos reservados"
)
_LOOP_WORDS = 4
"""Times in a row that one word or phrase must come to be a loop; people repeat themselves two or three times."""
_LOOP_SHARE = 0.6
"""Part of the text that a loop must fill."""
_LONGEST_LOOP = 6
"""Words of the longest phrase looked for in a loop."""


def is_invented(text: str) -> bool:
    """True when nobody at the counter said this; cheap, linear in the text."""
    folded = fold(text)
    if not re.search(r"[a-z0-9]", folded):
        return True
    return bool(_CREDITS.search(folded)) or _loops(re.findall(r"[a-z0-9]+", folded))


def _loops(words: list[str]) -> bool:
    longest = min(_LONGEST_LOOP, len(words) // _LOOP_WORDS) if len(set(words)) < len(words) else 0
    return any(_repeats(words, size) for size in range(1, longest + 1))


def _repeats(words: list[str], size: int) -> bool:
    """True when a phrase of `size` words comes `_LOOP_WORDS` times in a row and fills most of the text."""
    run = 0
    for at in range(size, len(words)):
        run = run + 1 if words[at] == words[at - size] else 0
        if run >= size * (_LOOP_WORDS - 1) and run + size >= len(words) * _LOOP_SHARE:
            return True
    return False
