"""Reads the pharmacy's JSON files and says where and why one is malformed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA_DIR = Path(__file__).parent / "data"


class CestasError(Exception):
    """The pharmacy's data cannot be used.

    CestasError
    ├── DataError        a knowledge file is missing or malformed
    └── CatalogueError   a `cestas.json` or `produtos.json` is missing or malformed
    """


class DataError(CestasError):
    """A knowledge file is missing or malformed; the text names the file, the place and the reason."""


def read_json(path: Path, error: type[CestasError] = DataError) -> Any:
    """The file's JSON value; raises `error` with line and column when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise error(f"{path.name}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise error(f"{path.name}: byte {exc.start} is not UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise error(f"{path.name}: line {exc.lineno} column {exc.colno}: {exc.msg}") from exc


def load_taxonomy(path: Path = DATA_DIR / "taxonomy.json") -> dict[str, tuple[str, ...]]:
    """Macro category → its micro categories, in the file's order."""
    return {macro: tuple(micros) for macro, micros in read_json(path).items()}
