"""The demonstration: streams the bundled conversation as a counter would, and compares what came with the truth."""

from serve_app.demo.command import main
from serve_app.demo.demonstration import Demonstration
from serve_app.demo.judging import Advice, judge, share, utterances_of
from serve_app.demo.rows import Rows, RowsUnavailable
from serve_app.demo.table import table
from serve_app.demo.timeline import Timeline
from serve_app.demo.truth import Expectation, Truth, TruthMalformed, load_truth

__all__ = [
    "Advice",
    "Demonstration",
    "Expectation",
    "Rows",
    "RowsUnavailable",
    "Timeline",
    "Truth",
    "TruthMalformed",
    "judge",
    "load_truth",
    "main",
    "share",
    "table",
    "utterances_of",
]
