"""An utterance's trace follows from its row: every step once, in its place, and nothing that was said."""

import json
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from deployments.telemetry.records import Interaction
from deployments.telemetry.traces import TracesSettings, spans_of

NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=timezone.utc)
STEPS = (
    "audio_received_at", "segment_emitted_at", "voice_sent_at", "voice_ready_at", "stt_sent_at", "stt_ready_at",
    "advice_asked_at", "advice_entities_at", "advice_category_at", "advice_ready_at", "sent_to_counter_at",
)  # fmt: skip


def row(**given):
    instants = {name: NOW + timedelta(milliseconds=10 * number) for number, name in enumerate(STEPS)}
    utterance = str(uuid.UUID(int=7))
    known = {"text": "estou com azia", "stt_provider": "elevenlabs", "entities": {"symptoms": ["azia"]}, **instants}
    return Interaction(utterance, "c", "b", "s", utterance, "n", "4.0.0", **{"outcome": "sugerido", **known, **given})


def test_every_step_is_a_span_below_the_utterance():
    spans = {span["name"]: span for span in spans_of(row())}
    root = spans["utterance"]
    assert set(spans) == {
        "utterance", "listen", "voice", "speech_to_text", "advice", "advice.entities", "advice.category", "deliver",
    }  # fmt: skip
    assert {span["traceId"] for span in spans.values()} == {uuid.UUID(int=7).hex}
    assert len({span["spanId"] for span in spans.values()}) == len(spans)
    assert spans["voice"]["parentSpanId"] == root["spanId"]
    assert spans["advice.category"]["parentSpanId"] == spans["advice"]["spanId"]
    assert int(root["endTimeUnixNano"]) - int(root["startTimeUnixNano"]) == 100_000_000
    assert int(spans["speech_to_text"]["endTimeUnixNano"]) - int(spans["speech_to_text"]["startTimeUnixNano"]) == 10**7
    assert {"key": "balto.stt_provider", "value": {"stringValue": "elevenlabs"}} in spans["speech_to_text"][
        "attributes"
    ]


def test_nothing_that_was_said_or_understood_is_in_a_trace():
    assert "azia" not in json.dumps(spans_of(row()))


def test_steps_that_did_not_happen_are_left_out_and_a_failure_is_marked():
    spans = spans_of(row(outcome="stt_falhou", advice_asked_at=None, sent_to_counter_at=None, stt_ready_at=None))
    assert [span["name"] for span in spans] == ["utterance", "listen", "voice", "advice.category"]
    assert spans[0]["status"] == {"code": 2}
    assert spans_of(row(**dict.fromkeys(STEPS))) == []


def test_a_collector_must_be_an_address():
    with pytest.raises(ValidationError, match=r"http://127\.0\.0\.1:4318"):
        TracesSettings(otlp_url="collector:4318")
