"""Figures of processes and runs, as they are shown."""

import json
import os

import psutil
import pytest

from bench.footprint import Resident, by_part, document, residents, table, total_mb
from bench.path.cpu import CpuReading, part_of, read_cpu
from bench.path.figures import TOTAL, Bar
from bench.path.report import RunResult


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("ray::ServeReplica:balto:Voice", "Voice"),
        ("ray::ServeReplica:balto:CounterIngress.handle_request_streaming", "CounterIngress"),
        ("ray::ServeController.listen_for_change", "serve controller"),
        ("/x/ray/core/src/ray/raylet/raylet --agent_command=/x/python dashboard/agent.py gcs_server", "raylet"),
        ("/x/ray/core/src/ray/gcs/gcs_server --log_dir=/tmp", "ray gcs"),
        ("/x/haproxy -W -db -f /tmp/h/haproxy.cfg", "haproxy"),
        ("postgres: checkpointer", "postgresql"),
        ("/x/python -m serve_app.run --config /tmp/serve_config.yaml", "launcher"),
        ("ray::DashboardAgent", "ray agents"),
        ("/x/python3 /x/ray/dashboard/dashboard.py --host=127.0.0.1", "ray dashboard"),
        ("ray::IDLE", "ray idle workers"),
        ("sleep 1", "other"),
    ],
)
def test_a_process_is_known_by_its_command_line(command, part):
    assert part_of(command) == part


def test_processor_time_counts_from_the_first_reading_and_wholly_for_processes_begun_since():
    before = CpuReading({(1, 0.0): 5.0, (2, 0.0): 9.0}, {(1, 0.0): "Voice", (2, 0.0): "raylet"})
    after = CpuReading({(1, 0.0): 7.0, (3, 4.0): 0.5}, {(1, 0.0): "Voice", (3, 4.0): "Voice"})
    assert after.since(before) == {"Voice": 2.5}


def test_a_busy_process_shows_in_the_reading():
    ourselves = [psutil.Process(os.getpid())]
    before = read_cpu(ourselves)
    sum(number * number for number in range(400_000))
    assert sum(read_cpu(ourselves).since(before).values()) > 0


def test_the_footprint_is_the_sum_of_all_processes():
    found = [Resident("Voice", 3, 200.0), Resident("raylet", 4, 50.0), Resident("Voice", 5, 100.0)]
    assert total_mb(found) == 350.0
    assert by_part(found) == {"Voice": (2, 300.0), "raylet": (1, 50.0)}


def test_a_process_is_charged_what_it_really_holds():
    (ours,) = residents([psutil.Process(os.getpid())])
    assert 5 < ours.pss_mb < 2000


def test_a_footprint_above_its_bar_says_so():
    found = [Resident("Voice", 3, 2001.0)]
    assert "MISSED" in table(found, 2000.0, 0.5)
    assert "met (at most 2000)" in table([Resident("Voice", 3, 2000.0)], 2000.0, 0.5)
    assert document(found, 2000.0, 0.5, lean=False)["met"] is False


@pytest.fixture
def result():
    return RunResult(
        denoise="off",
        window_s=60.0,
        outcomes={"sugerido": 3, "nada": 1},
        delays_ms={"voice": [9.0, 10.0, 11.0], TOTAL: [20.0, 25.0, 30.0]},
        cpu_s={"Voice": 6.0, "raylet": 0.01},
        providers_cpu_s=1.5,
        counters_cpu_s=2.5,
        reconnects=0,
        load_average=(0.5, 1.5),
        bars=[Bar("p50_ms", 25.0, 25.0), Bar("p95_ms", 20.0, 29.5)],
    )


def test_the_document_holds_quantiles_outcomes_and_verdicts(result):
    told = json.loads(json.dumps(result.document()))
    assert told["steps_ms"][TOTAL] == {"n": 3, "p50": 25.0, "p90": 29.0, "p95": 29.5, "p99": 29.9, "max": 30.0}
    assert (told["utterances"], told["outcomes"]) == (4, {"sugerido": 3, "nada": 1})
    assert [bar["met"] for bar in told["bars"]] == [True, False]
    assert told["service_cores"] == pytest.approx(0.1, abs=0.001)


def test_the_table_tells_the_load_beside_the_figures_and_keeps_the_generators_cpu_apart(result):
    told = result.table()
    assert "load average 0.50 → 1.50" in told
    assert "service 6.0 (Voice 6.0)" in told
    assert "providers 1.5, counters 2.5" in told
    assert "MISSED p95_ms 29.5 (at most 20)" in told
