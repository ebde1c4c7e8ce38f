"""Log events as fields: where logs are written as JSON, `event name=value` becomes `event` and `fields`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, Final

_PLACE: Final = re.compile(r"(?:(\w+)=)?%[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])")
"""`name=%s`, or a bare `%s`; `%%` takes no argument."""
_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*(?=\s|$|:)")
_OURS: Final = "balto"


class EventFields(logging.Filter):
    """Adds `event` (the fixed name) and `fields` to our records; lets every record through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True; a record of ours has `event` and `fields` afterwards."""
        if record.name.partition(".")[0] == _OURS and not hasattr(record, "event"):
            begins = _EVENT.match(str(record.msg))
            record.event = begins[0] if begins else ""
            record.fields = dict(_fields(str(record.msg), record.args if isinstance(record.args, tuple) else ()))
            record.logger = record.name
        return True


def _fields(template: str, args: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    places = [place for place in _PLACE.finditer(template) if place[2] != "%"]
    for place, value in zip(places, args, strict=False):
        if place[1]:
            yield place[1], value if isinstance(value, (bool, int, float, type(None))) else str(value)


def add_fields(handlers: list[logging.Handler]) -> None:
    """Have each of `handlers` that writes JSON write our fields too; again: nothing."""
    for handler in handlers:
        formatter = getattr(handler, "target", handler).formatter
        if "JSON" in type(formatter).__name__ and not any(isinstance(each, EventFields) for each in handler.filters):
            handler.addFilter(EventFields())
