"""What the demonstration shows as it happens, and remembers to be judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from serve_app.client import Event, describe
from serve_app.demo.judging import Advice, utterances_of
from serve_app.demo.table import reason
from serve_app.demo.truth import Truth

_COLOURS: Final = {"said": "2", "heard": "36", "advised": "1;32", "discarded": "33", "problem": "1;31", "plain": "0"}


class Timeline:
    """Prints what is said, heard, discarded and advised as it happens, and remembers what is needed to judge it."""

    def __init__(self, truth: Sequence[Truth], show: Callable[[str], None], *, colour: bool) -> None:
        self._truth = sorted(truth, key=lambda said: said.end_s)
        self._show = show
        self._colour = colour
        self._said = 0
        self.heard: list[Mapping[str, Any]] = []
        self.advised: list[Mapping[str, Any]] = []

    def line(self, text: str, kind: str = "plain") -> None:
        """One line, coloured by kind where colours are wanted."""
        self._show(f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if self._colour else text)

    def played(self, until_s: float) -> None:
        """The sample was played until there: print what was said meanwhile."""
        while self._said < len(self._truth) and self._truth[self._said].end_s <= until_s:
            said = self._truth[self._said]
            self._said += 1
            self.line(f"{said.end_s:8.2f} s  said         {said.speaker}: “{said.text}”", "said")

    def happened(self, event: Event, stream_s: float) -> None:
        """An event of the counter, `stream_s` seconds into the sample."""
        self.played(stream_s)
        line = describe(Event(stream_s, event.kind, event.fields))
        if event.kind == "ouvido":
            self.heard.append(event.fields)
        elif event.kind == "recomendar":
            self.advised.append(event.fields)
            line = f"{line}  {self._delay(event.fields, stream_s)}"
        if line is not None:
            self.line(line, {"ouvido": "heard", "recomendar": "advised"}.get(event.kind, "plain"))

    def recorded(self, row: Mapping[str, Any]) -> None:
        """A row was recorded: print it when the counter was not told of it."""
        if row.get("outcome") in {"sugerido", "nada", "alerta"}:
            return
        why = reason(row) or str(row.get("outcome"))
        self.line(
            f"{row['end_s']:8.2f} s  discarded    {why}  ({row['start_s']:.2f}–{row['end_s']:.2f} s)", "discarded"
        )

    def advices(self, rows: Sequence[Mapping[str, Any]]) -> list[Advice]:
        """What was advised, each with its place by the row recorded, or by what was heard."""
        by_id = {row.get("suggestion_id"): row for row in rows}
        return [self._advice(message, by_id.get(message.get("id"))) for message in self.advised]

    def _advice(self, message: Mapping[str, Any], row: Mapping[str, Any] | None) -> Advice:
        what = str(message.get("produto", ""))
        if row is not None:
            return Advice(row["start_s"], row["end_s"], what, row.get("macro"))
        start_s, end_s = self._place(message)
        return Advice(start_s, end_s, what)

    def _place(self, message: Mapping[str, Any]) -> tuple[float, float]:
        """Where the words lie that a suggestion is based on: the last heard with that text, else the last heard."""
        same = [heard for heard in self.heard if heard.get("texto") == message.get("transcricao_base")]
        last = (same or self.heard or [{}])[-1]
        return float(last.get("inicio_ms", 0)) / 1000, float(last.get("fim_ms", 0)) / 1000

    def _delay(self, message: Mapping[str, Any], stream_s: float) -> str:
        advice = self._advice(message, None)
        answered = utterances_of(advice, self._truth)
        spoken_until_s = answered[-1].end_s if answered else advice.end_s
        return f"{stream_s - spoken_until_s:.2f} s after the last word"
