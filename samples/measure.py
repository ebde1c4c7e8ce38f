"""Measures the demonstration recogniser on synthetic speech: which terms it finds, and which it only imagines.

Usage: python -m samples.measure [--snr-db 25 15 5]    (needs espeak-ng; about a minute of one core per noise level)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from deployments.speech_to_text.demonstration import confident
from deployments.speech_to_text.language import load
from deployments.speech_to_text.sphinx import Heard, SphinxProcess
from samples.make import SAMPLE_RATE_HZ, SPEECH_RMS_DBFS, Voice, at_level, shop, spoken

VOICES = (Voice("pt-br", 50, 145), Voice("pt-br+f2", 55, 145), Voice("pt-br+m3", 40, 145))
CUTS = (0.5, 0.8, 0.95)
MARGIN_S = 0.3

OF_COUNTERS = """
bom dia estou com dor de cabeça
meu filho está com diarreia desde ontem
tem alguma coisa para tosse seca
estou com azia e má digestão
minha filha está com febre alta
preciso de protetor solar
estou com nariz entupido e coriza
boa tarde você tem dipirona
queria um remédio para cólica menstrual
eu tenho pressão alta e dor nas costas
estou com a garganta inflamada
tem alguma coisa para prisão de ventre
meu bebê está com assadura
estou grávida e com enjoo
acho que estou com conjuntivite
quero um xarope para tosse com catarro
minha mãe tem diabetes e pele seca
preciso de soro fisiológico e gaze
estou com insônia e ansiedade
queria omeprazol por favor
tem repelente
estou com coceira e manchas na pele
vou levar paracetamol e vitamina c
meu marido está com ressaca
"""

UNRELATED = """
o jogo de ontem foi muito bom
amanhã vou viajar para a praia com meus primos
quanto custa essa escova de cabelo
vou pagar no cartão de crédito
onde fica o banheiro
meu carro quebrou na avenida de novo
a reunião da escola é às oito horas
você viu a novela ontem
pode colocar na sacola por favor
a fila do banco estava enorme
ela casou no mês passado em salvador
o ônibus está atrasado hoje
comprei um celular novo para o meu sobrinho
quer que imprima a nota fiscal
o aluguel subiu demais este ano
"""


@dataclass(frozen=True)
class Trial:
    """One sentence as it was heard."""

    sentence: str
    related: bool
    heard: list[Heard]


def trials(decoder: SphinxProcess, snr_db: float) -> Iterator[Trial]:
    """Every sentence in every voice over shop noise, `snr_db` below the speech."""
    for related, sentences in ((True, OF_COUNTERS), (False, UNRELATED)):
        for number, sentence in enumerate(sentences.strip().splitlines()):
            for voice in VOICES:
                said = np.pad(spoken(sentence, voice), round(MARGIN_S * SAMPLE_RATE_HZ))
                noise = at_level(shop(len(said), np.random.default_rng(number)), SPEECH_RMS_DBFS - snr_db)
                pcm = np.round((said + noise) * 32768).clip(-32768, 32767).astype("<i2").tobytes()
                yield Trial(sentence, related, decoder.hear(pcm, 30.0))


def named(sentence: str, terms: Iterable[str]) -> set[str]:
    """The terms that `sentence` names, longest first, so that `tosse seca` is not also `tosse`."""
    found: set[str] = set()
    rest = f" {sentence} "
    for term in sorted(terms, key=len, reverse=True):
        if f" {term} " in rest:
            found.add(term)
            rest = rest.replace(f" {term} ", " # ")
    return found


def report(done: list[Trial], cut: float) -> str:
    """Recall and precision of terms in counter talk, and how often unrelated talk raised an alarm."""
    terms = load().all_terms
    right = wrong = missed = alarms = 0
    for trial in done:
        got = {word.text for word in confident(trial.heard, cut)} & terms
        want = named(trial.sentence, terms)
        if trial.related:
            right, wrong, missed = right + len(got & want), wrong + len(got - want), missed + len(want - got)
        else:
            alarms += bool(got)
    unrelated = sum(not trial.related for trial in done)
    recall, precision = right / (right + missed), right / max(1, right + wrong)
    return f"cut {cut:.2f}  recall {recall:.2f}  precision {precision:.2f}  false alarms {alarms / unrelated:.2f}"


def main() -> None:
    """Print one line per noise level and confidence cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snr-db", type=float, nargs="+", default=[25.0, 15.0, 5.0])
    decoder = SphinxProcess()
    try:
        for snr_db in parser.parse_args().snr_db:
            started = time.perf_counter()
            done = list(trials(decoder, snr_db))
            for cut in CUTS:
                print(f"SNR {snr_db:4.0f} dB  {report(done, cut)}", flush=True)
            print(f"SNR {snr_db:4.0f} dB  {len(done)} utterances in {time.perf_counter() - started:.0f} s", flush=True)
    finally:
        decoder.close()


if __name__ == "__main__":
    main()
