"""What was checked, as Markdown for people and JSON for machines, with the rows that it made as proof."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

PROOF: Final = (
    "interaction_id",
    "counter_id",
    "session_id",
    "outcome",
    "origin",
    "duration_s",
    "stt_provider",
    "advice_origin",
    "suggestion_id",
    "speech_ended_at",
    "sent_to_counter_at",
    "software_version",
)
"""Columns of a row that prove it; what was said is not among them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check's result. `found` says what was found, or what was wrong."""

    area: str
    name: str
    promise: str
    result: Literal["passed", "failed", "skipped"]
    found: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of them, of one deployment, and the rows that they made."""

    url: str
    begun_at: str
    outcomes: Sequence[Outcome]
    rows: Sequence[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """True when nothing failed."""
        return all(outcome.result != "failed" for outcome in self.outcomes)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "bench": "protocol",
            "url": self.url,
            "begun_at": self.begun_at,
            "passed": self.passed,
            "checks": [asdict(outcome) for outcome in self.outcomes],
            "rows": [{name: row.get(name) for name in PROOF} for row in self.rows],
        }

    def markdown(self) -> str:
        """For people."""
        lines = [f"# Protocol check of {self.url}", "", f"{self.begun_at}: {self.summary()}", ""]
        for area in dict.fromkeys(outcome.area for outcome in self.outcomes):
            lines += [f"## {area}", "", "| | what | found | s |", "|---|---|---|---|"]
            lines += [_line(outcome) for outcome in self.outcomes if outcome.area == area]
            lines.append("")
        lines += ["## Rows that it made", "", f"| {' | '.join(PROOF)} |", f"|{'---|' * len(PROOF)}"]
        lines += [f"| {' | '.join(_cell(row.get(name)) for name in PROOF)} |" for row in self.rows]
        return "\n".join([*lines, ""])

    def summary(self) -> str:
        """In one line."""
        counts = {
            result: sum(one.result == result for one in self.outcomes) for result in ("passed", "failed", "skipped")
        }
        return ", ".join(f"{count} {result}" for result, count in counts.items()) + f"; {len(self.rows)} rows"

    def write(self, folder: Path) -> None:
        """`protocol.md` and `protocol.json` in `folder`. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "protocol.md").write_text(self.markdown())
        (folder / "protocol.json").write_text(json.dumps(self.document(), ensure_ascii=False, indent=1))


def _line(outcome: Outcome) -> str:
    mark = {"passed": "✓", "failed": "**FAILED**", "skipped": "skipped"}[outcome.result]
    return f"| {mark} | {_cell(outcome.promise)} | {_cell(outcome.found)} | {outcome.took_s:.1f} |"


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
