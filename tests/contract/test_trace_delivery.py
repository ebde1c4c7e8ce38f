"""Traces reach a collector over OTLP, and a collector that is away costs nothing but its traces."""

import asyncio
import time
import uuid
from datetime import datetime, timezone

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.simulated.server import LoopbackServer
from deployments.metrics import NoMetrics
from deployments.telemetry.records import Interaction
from deployments.telemetry.traces import Traces, TracesSettings

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


class Tally(NoMetrics):
    def __init__(self):
        self.counted = {}

    def count(self, name, value=1.0, **labels):
        key = (name, *labels.values())
        self.counted[key] = self.counted.get(key, 0) + value


def row():
    utterance = str(uuid.uuid4())
    return Interaction(
        utterance, "c", "b", "s", utterance, "n", "4", "nada", audio_received_at=NOW, segment_emitted_at=NOW
    )


def collector(got):
    async def take(request):
        got.append(await request.json())
        return JSONResponse({})

    return LoopbackServer(Starlette(routes=[Route("/v1/traces", take, methods=["POST"])]))


async def test_every_recorded_utterance_reaches_the_collector_as_the_protocol_says():
    got, tally, rows = [], Tally(), [row() for _ in range(250)]
    async with collector(got) as server:
        traces = Traces(TracesSettings(otlp_url=f"{server.base_url}/v1/traces", linger_s=0), tally)
        traces.take(rows)
        await traces.close()
    exports = [ParseDict(message, ExportTraceServiceRequest()) for message in got]
    spans = [
        span
        for export in exports
        for place in export.resource_spans
        for scope in place.scope_spans
        for span in scope.spans
    ]
    assert sum(span.name == "utterance" for span in spans) == 250
    assert len(spans) == 500
    assert len(exports) == 3
    assert tally.counted == {("traces_sent",): 250}


async def test_a_collector_that_is_away_costs_its_traces_alone_and_they_are_counted():
    tally = Tally()
    traces = Traces(TracesSettings(otlp_url="http://127.0.0.1:9/v1/traces", linger_s=0, waiting_max=10), tally)
    begun = time.perf_counter()
    traces.take([row() for _ in range(15)])
    assert time.perf_counter() - begun < 0.1
    await traces.close()
    assert tally.counted == {("traces_dropped", "full"): 5, ("traces_dropped", "ConnectError"): 10}


async def test_switched_off_nothing_is_kept_and_no_task_runs():
    tally = Tally()
    traces = Traces(TracesSettings(), tally)
    traces.take([row()])
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "traces"]
    await traces.close()
    assert tally.counted == {}


async def test_a_share_of_utterances_is_chosen_by_their_ids():
    tally, rows = Tally(), [row() for _ in range(400)]
    traces = Traces(TracesSettings(otlp_url="http://127.0.0.1:9/", share=0.25, linger_s=0), tally)
    traces.take(rows)
    await traces.close()
    assert 50 < sum(tally.counted.values()) < 150
