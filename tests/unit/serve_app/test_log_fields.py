"""JSON logs carry the event and its fields apart, and text logs stay as they are."""

import json
import logging
from io import StringIO
from logging.handlers import MemoryHandler

import pytest
from ray._common.formatters import JSONFormatter, TextFormatter

from serve_app.build import _log_where_serve_logs
from serve_app.log_fields import add_fields


@pytest.fixture
def written():
    """Log through handlers as Serve makes them; what was written, line by line."""
    stream = StringIO()

    def write(formatter, name, *message, **options):
        target = logging.StreamHandler(stream)
        target.setFormatter(formatter)
        handler = MemoryHandler(1, target=target)
        add_fields([handler])
        add_fields([handler])
        record = logging.getLogger(name).makeRecord(
            name, logging.INFO, "f.py", 1, message[0], message[1:], None, **options
        )
        handler.handle(record)
        handler.flush()
        return stream.getvalue().splitlines()[-1]

    return write


def test_an_event_and_its_fields_are_apart(written):
    line = json.loads(
        written(JSONFormatter(), "balto.door", "counter_denied reason=%s pending=%d in_s=%.2f", "x y", 3, 0.5)
    )
    assert line["event"] == "counter_denied"
    assert line["fields"] == {"reason": "x y", "pending": 3, "in_s": 0.5}
    assert line["logger"] == "balto.door"
    assert line["message"] == "counter_denied reason=x y pending=3 in_s=0.50"


def test_a_message_without_fields_is_an_event_alone(written):
    line = json.loads(written(JSONFormatter(), "balto.telemetry", "outbox_not_drained"))
    assert (line["event"], line["fields"]) == ("outbox_not_drained", {})


def test_arguments_without_a_name_do_not_shift_the_others(written):
    line = json.loads(written(JSONFormatter(), "balto.build", "slow at %s: 100%% of node=%s", "noon", object))
    assert line["fields"] == {"node": "<class 'object'>"}


def test_somebody_elses_records_and_text_logs_stay_as_they_are(written):
    assert "event" not in json.loads(written(JSONFormatter(), "ray.serve", "replica started id=%s", "a"))
    assert "fields" not in written(TextFormatter(), "balto.door", "counter_denied reason=%s", "full")


def log_access_log_filter(record):
    """Named as Serve's, which it puts where the access log is switched off."""
    return not getattr(record, "serve_access_log", False)


@pytest.mark.parametrize(("filters", "level"), [([log_access_log_filter], logging.WARNING), ([], logging.INFO)])
def test_lines_that_serve_would_throw_away_are_not_made(monkeypatch, filters, level):
    serve_log, ours, handler = logging.getLogger("ray.serve"), logging.getLogger("balto"), logging.NullHandler()
    handler.filters = filters
    for name, value in (("handlers", [handler]), ("level", logging.INFO)):
        monkeypatch.setattr(serve_log, name, value)
    for name, value in (("handlers", []), ("level", logging.NOTSET), ("propagate", True)):
        monkeypatch.setattr(ours, name, value)
    _log_where_serve_logs()
    assert (serve_log.level, ours.level) == (level, logging.INFO)
