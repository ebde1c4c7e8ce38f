"""Notices words meant for a machine rather than for an attendant: a language model is then not asked at all; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cestas.text import fold

_ORDERS = re.compile(
    r"\b(?:ignor|desconsider)\w*\b.{0,40}\b(?:instruc|regra|ordem|ordens|anterior|tudo|restric)"
    r"|\b(?:esquec|desobede|burl)\w*\b.{0,40}\b(?:instruc|regra|ordens|restric)"
    r"|\b(?:system|sistema|assistant|assistente|user)\s*:"
    r"|\b(?:a partir de agora|de agora em diante)\b.{0,40}\b(?:recomend|suger|indiqu|respond|mostr|voce e\b)"
    r"|\b(?:recomend|suger|indiqu|mostr)\w*\b.{0,40}\b(?:como sugestao|todos os clientes|qualquer cliente)"
    r"|\bvoce (?:agora )?e (?:um |uma )?(?:ia|robo|modelo|assistente|sistema)\b"
    r"|\b(?:modo|mode) (?:desenvolvedor|developer|administrador|debug)\b"
    r"|\bignore (?:all|the|previous|your)\b|\b(?:system )?prompt\b|\bjailbreak\b"
    r"|[{\[]\s*\"(?:macro|micro|intent|items?|sugest\w*)\""
)
"""Folded text. A hint, not a wall: what it misses still meets the schema, the quotes, the grounds and the gate."""


def speaks_to_the_machine(texts: Iterable[str]) -> bool:
    """True when one of `texts` gives orders to whoever processes it; linear in their length."""
    return any(_ORDERS.search(fold(text)) for text in texts)
