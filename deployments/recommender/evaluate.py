"""`python -m deployments.recommender.evaluate LABELS.jsonl`: how well and how safely the whole stage advises."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cestas.advise import RulesAdvice
from cestas.catalogue import CatalogueError
from cestas.classify import Classification
from cestas.evaluate import Label, LabelsError, figures_of, lines, read_labels
from cestas.lexicon import Lexicon, shipped
from deployments.recommender.port import Advice, AdviceRequest
from deployments.recommender.settings import (
    CompatibleSettings,
    OpenAiSettings,
    Policy,
    RecommenderSettings,
    XaiSettings,
)
from deployments.recommender.stage import Recommender

POLICIES: dict[str, Policy] = {"rules": "regras", "llm": "llm", "cascade": "cascata"}
AT_ONCE = 4
"""Utterances that are advised on at the same time."""
BUDGET_S = 10.0
"""Time for one utterance: quality is measured here, not the deadline of a counter."""


async def advices_on(
    labels: Sequence[Label], stage: Recommender, at_once: int = AT_ONCE, budget_s: float = BUDGET_S
) -> list[Advice]:
    """What the stage advises on every label, each as the first words of a new customer, in the labels' order."""
    slots = asyncio.Semaphore(at_once)

    async def advise(label: Label) -> Advice:
        async with slots:
            return await stage.advise(AdviceRequest(utterance_id=label.id, text=label.text, budget_s=budget_s))

    return list(await asyncio.gather(*(advise(label) for label in labels)))


def report(advisor: str, labels: Sequence[Label], advices: Sequence[Advice], lexicon: Lexicon) -> dict[str, Any]:
    """The figures of cestas.evaluate for the stage's advice, and who answered, what failed, what it cost and saved.

    A stage that stays silent names no category, where the rules' own evaluation counts the one they would have named.
    """
    figures = figures_of(
        advisor, labels, [_as_counted(advice) for advice in advices], [a.elapsed_ms for a in advices], lexicon
    )
    return {
        **figures,
        "routes": dict(Counter(advice.route for advice in advices)),
        "errors": dict(Counter(advice.error for advice in advices if advice.error)),
        "alerts": sum(advice.status == "alerta" for advice in advices),
        "blocked_items": sum(len(advice.blocked) for advice in advices),
        "calls_avoided": sum(advice.calls_avoided for advice in advices),
        "answers_from_cache": sum(advice.cached for advice in advices),
        "tokens": {"in": sum(a.tokens_in for a in advices), "out": sum(a.tokens_out for a in advices)},
        "cost_usd": round(sum(advice.cost_usd for advice in advices), 6),
        "saved_usd": round(sum(advice.saved_usd for advice in advices), 6),
    }


def _as_counted(advice: Advice) -> RulesAdvice:
    return RulesAdvice(
        intent="sintoma_ou_pedido" if advice.macro else "conversa",
        entities=advice.entities,
        classification=Classification(advice.macro, advice.micro, advice.confidence, advice.origin),
        cesta=advice.cesta,
        items=advice.items,
        blocked=advice.blocked,
        alert=advice.alert,
    )


def settings_for(options: argparse.Namespace) -> RecommenderSettings:
    """The stage's settings for a command line; raises ValueError naming what is missing."""
    key = SecretStr(options.key_file.read_text(encoding="utf-8").strip()) if options.key_file else None
    given = {
        name: value
        for name, value in (
            ("api_key", key),
            ("base_url", options.base_url),
            ("model_entities", options.model),
            ("model_category", options.model),
        )
        if value is not None
    }
    return RecommenderSettings(
        policy=POLICIES[options.advisor],
        provider=options.provider,
        openai=OpenAiSettings(**given) if options.provider == "openai" else OpenAiSettings(),
        xai=XaiSettings(**given) if options.provider == "xai" else XaiSettings(),
        compatible=CompatibleSettings(**given) if options.provider == "compatible" else CompatibleSettings(),
        cestas_path=options.cestas,
    )


async def _evaluated(options: argparse.Namespace) -> dict[str, Any]:
    labels = read_labels(options.labels)
    stage = Recommender(settings_for(options), lexicon=shipped())
    try:
        advices = await advices_on(labels, stage, options.at_once)
    finally:
        await stage.close()
    return report(options.advisor, labels, advices, shipped())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.recommender.evaluate", description=__doc__)
    parser.add_argument("labels", type=Path, help="labelled utterances, one JSON object a line")
    parser.add_argument("--advisor", choices=tuple(POLICIES), default="cascade", help="who advises (cascade)")
    parser.add_argument("--provider", choices=("openai", "xai", "compatible"), default="openai")
    parser.add_argument("--base-url", help="where the provider answers, up to and including /v1")
    parser.add_argument("--key-file", type=Path, help="a file that holds the provider's key and nothing else")
    parser.add_argument("--model", help="the model for both calls, instead of the shipped setting")
    parser.add_argument("--cestas", type=Path, help="a pharmacy's own cestas.json instead of the shipped one")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help=f"utterances at the same time ({AT_ONCE})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _extra(figures: dict[str, Any]) -> str:
    names = ("routes", "errors", "calls_avoided", "answers_from_cache", "tokens", "cost_usd", "saved_usd")
    return "\n".join(f"{name.replace('_', ' '):20} {figures[name]}" for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 1 when something unsafe was suggested, 2 when it cannot run."""
    options = _parser().parse_args(arguments)
    try:
        figures = asyncio.run(_evaluated(options))
    except (LabelsError, CatalogueError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    text = "\n".join((*lines(figures), _extra(figures)))
    sys.stdout.write((json.dumps(figures, ensure_ascii=False, indent=1) if options.json else text) + "\n")
    return 1 if figures["unsafe"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
