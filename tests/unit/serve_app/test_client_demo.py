"""The demonstration's judgement, its table and its timeline, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.client import ClientSettings, CounterClient, Event
from serve_app.demo import (
    Advice,
    Demonstration,
    Expectation,
    Rows,
    RowsUnavailable,
    Timeline,
    Truth,
    TruthMalformed,
    judge,
    load_truth,
    share,
    table,
)

FEVER = Truth(
    start_s=2,
    end_s=5,
    speaker="cliente 1",
    text="meu filho está com febre",
    expect=Expectation(macros=("PEDIATRIA", "DOR_FEBRE_INFLAMACAO")),
    expected_of_demonstration=True,
)
PRICE = Truth(start_s=10, end_s=12, speaker="cliente 2", text="quanto custa a escova")
COUGH = Truth(start_s=15, end_s=18, text="estou com tosse", expect=Expectation(macros=("RESPIRATORIO_GRIPE",)))
TRUTH = [FEVER, PRICE, COUGH]


def advice(start_s: float, end_s: float, macro: str | None = None) -> Advice:
    return Advice(start_s, end_s, "Termômetro", macro)


class TestJudging:
    def test_all_is_well_when_what_is_expected_came_and_nothing_else(self) -> None:
        assert judge(TRUTH, [advice(1.6, 5.6, "PEDIATRIA")]) == []

    def test_a_suggestion_not_expected_of_the_demonstration_may_come(self) -> None:
        assert judge(TRUTH, [advice(1.6, 5.6), advice(14.6, 18.6, "RESPIRATORIO_GRIPE")]) == []

    def test_a_missing_suggestion_is_named_with_its_time(self) -> None:
        (problem,) = judge(TRUTH, [])
        assert problem.startswith("missing: PEDIATRIA or DOR_FEBRE_INFLAMACAO for “meu filho está com febre” at 2.0 s")

    def test_another_macro_does_not_count_and_is_named(self) -> None:
        (problem,) = judge(TRUTH, [advice(1.6, 5.6, "ALERGIAS")])
        assert "ALERGIAS came" in problem

    def test_without_a_row_the_time_is_enough(self) -> None:
        assert judge(TRUTH, [advice(1.6, 5.6, None)]) == []

    def test_a_suggestion_to_who_only_asks_a_price_is_a_problem(self) -> None:
        (problem,) = judge(TRUTH, [advice(1.6, 5.6), advice(9.6, 12.6)])
        assert problem == "unexpected: “Termômetro” at 9.6 s, where nothing is to be suggested"

    def test_a_suggestion_where_nobody_spoke_is_a_problem(self) -> None:
        assert len(judge(TRUTH, [advice(1.6, 5.6), advice(30, 33)])) == 1

    def test_a_brush_with_a_neighbours_words_does_not_count(self) -> None:
        assert judge(TRUTH, [advice(4.8, 8)])[0].startswith("missing")

    def test_two_utterances_that_were_merged_are_both_answered(self) -> None:
        assert judge(TRUTH, [advice(1.6, 12.6, "PEDIATRIA")]) == []

    @pytest.mark.parametrize(
        ("intervals", "expected"),
        [((0, 2, 1, 5), 0.5), ((0, 1, 2, 3), 0), ((0, 10, 4, 5), 1), ((3, 3, 0, 9), 0)],
    )
    def test_shares_are_of_the_shorter_interval(self, intervals: tuple[float, ...], expected: float) -> None:
        assert share(*intervals) == expected


class TestTruthFile:
    def write(self, tmp_path: Path, data: object) -> Path:
        path = tmp_path / "truth.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    def test_is_a_list_or_an_object_with_one(self, tmp_path: Path) -> None:
        listed = [said.model_dump() for said in TRUTH]
        assert load_truth(self.write(tmp_path, listed)) == TRUTH
        assert load_truth(self.write(tmp_path, {"utterances": listed, "seed": 1})) == TRUTH

    @pytest.mark.parametrize("data", [{"other": []}, [{"start_s": "x"}], 7])
    def test_is_refused_when_it_is_something_else(self, tmp_path: Path, data: object) -> None:
        with pytest.raises(TruthMalformed, match=r"truth\.json"):
            load_truth(self.write(tmp_path, data))


ROW: dict[str, Any] = {
    "interaction_id": "1",
    "session_id": "s",
    "outcome": "sugerido",
    "first_sample": 16_000 * 2,
    "end_sample": 16_000 * 5,
    "voice_sent_at": "2026-11-02T10:00:00Z",
    "voice_ready_at": "2026-11-02T10:00:00.012Z",
    "stt_sent_at": "2026-11-02T10:00:00.012Z",
    "stt_ready_at": "2026-11-02T10:00:00.252Z",
    "speech_ended_at": "2026-11-02T09:59:59.400000+00:00",
    "sent_to_counter_at": "2026-11-02T10:00:00.260000+00:00",
    "text": "filho febre",
    "macro": "PEDIATRIA",
    "micro": "FEBRE_INFANTIL",
    "suggestion_id": "sug",
    "items": [{"id": "a", "sugestao": "Termômetro"}, {"id": "b", "suggestion": "Soro"}],
}
DISCARDED: dict[str, Any] = {
    "interaction_id": "2",
    "session_id": "s",
    "outcome": "descartado",
    "discard_reason": "sem_fala",
    "first_sample": 16_000 * 7,
    "end_sample": 16_000 * 8,
    "items": None,
}


def placed(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "start_s": row["first_sample"] / 16_000, "end_s": row["end_sample"] / 16_000}


def test_the_table_tells_time_outcome_delays_words_category_and_items() -> None:
    lines = table([placed(ROW), placed(DISCARDED)])
    assert lines[1:4] == [
        "   2.0 s  sugerido                     12    240      –    860  filho febre",
        "          PEDIATRIA/FEBRE_INFANTIL → Termômetro · Soro",
        "   7.0 s  descartado (sem_fala)         –      –      –      –",
    ]


class FakeApi(httpx.MockTransport):
    """Answers the n-th request with the n-th list of rows, then with the last one again."""

    def __init__(self, *answers: list[dict[str, Any]] | int) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, json={"interacoes": answer})

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self, base_url="http://balto")


class TestRows:
    async def test_come_in_order_of_time_each_new_one_once(self) -> None:
        api = FakeApi([DISCARDED], [DISCARDED, ROW])
        async with api.client() as http:
            rows = Rows(http)
            rows.connected("s", 0)
            assert [row["interaction_id"] for row in await rows.fetch()] == ["2"]
            assert [row["interaction_id"] for row in await rows.fetch()] == ["1"]
        assert [row["interaction_id"] for row in rows.latest] == ["1", "2"]
        assert api.requests[0].url.params["sessao"] == "s"
        assert api.requests[0].url.params["limite"] == "100"

    async def test_of_a_session_begun_in_mid_stream_are_placed_in_the_streams_time(self) -> None:
        async with FakeApi([ROW]).client() as http:
            rows = Rows(http)
            rows.connected("s", 16_000 * 20)
            (row,) = await rows.fetch()
        assert (row["start_s"], row["end_s"]) == (22, 25)

    async def test_that_may_not_be_read_are_said_to_be_unavailable(self) -> None:
        async with FakeApi(401).client() as http:
            rows = Rows(http)
            rows.connected("s", 0)
            with pytest.raises(RowsUnavailable, match="HTTP 401"):
                await rows.fetch()


HEARD = Event(6, "ouvido", {"texto": "filho febre", "inicio_ms": 2_000, "fim_ms": 5_600})
ADVISED = Event(
    6.1,
    "recomendar",
    {"id": "sug", "produto": "Termômetro", "transcricao_base": "filho febre", "origem": "regras", "simulado": True},
)


class TestTimeline:
    def test_reads_in_the_order_of_the_stream_and_says_how_long_advice_took(self) -> None:
        lines: list[str] = []
        timeline = Timeline(TRUTH, lines.append, colour=False)
        timeline.played(4)
        timeline.happened(HEARD, 5.8)
        timeline.happened(ADVISED, 5.9)
        timeline.recorded(placed(DISCARDED))
        timeline.recorded(placed(ROW))
        assert lines == [
            "    5.00 s  said         cliente 1: “meu filho está com febre”",
            "    5.80 s  heard        “filho febre”  (2.00–5.60 s)",
            "    5.90 s  advised      Termômetro  [regras, simulado]  0.90 s after the last word",
            "    8.00 s  discarded    sem_fala  (7.00–8.00 s)",
        ]

    def test_is_coloured_only_where_asked(self) -> None:
        lines: list[str] = []
        Timeline([], lines.append, colour=True).happened(HEARD, 6)
        assert lines[0].startswith("\x1b[36m")
        assert lines[0].endswith("\x1b[0m")

    def test_places_advice_by_its_row_or_else_by_the_words_heard(self) -> None:
        timeline = Timeline(TRUTH, [].append, colour=False)
        timeline.happened(HEARD, 6)
        timeline.happened(Event(7, "ouvido", {"texto": "outra", "inicio_ms": 9_000, "fim_ms": 9_500}), 7)
        timeline.happened(ADVISED, 7)
        assert timeline.advices([]) == [Advice(2, 5.6, "Termômetro")]
        assert timeline.advices([placed(ROW)]) == [Advice(2, 5, "Termômetro", "PEDIATRIA")]


class TestWaitingForRows:
    async def all_recorded(self, api: FakeApi, timeout_s: float) -> bool:
        timeline = Timeline(TRUTH, [].append, colour=False)
        timeline.happened(HEARD, 6)
        timeline.happened(ADVISED, 6)
        async with api.client() as http:
            rows = Rows(http)
            rows.connected("s", 0)
            demonstration = Demonstration(CounterClient(ClientSettings(), "bk_x"), timeline, rows)
            return await demonstration.all_recorded(rows, timeout_s, poll_s=0)

    async def test_ends_when_everything_heard_and_advised_is_there(self) -> None:
        assert await self.all_recorded(FakeApi([], [DISCARDED], [DISCARDED, ROW]), timeout_s=5)

    async def test_ends_in_time_when_something_never_comes(self) -> None:
        assert not await self.all_recorded(FakeApi([DISCARDED]), timeout_s=0)
