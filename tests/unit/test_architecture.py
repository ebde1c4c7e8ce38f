"""The arrows of the house: serve_app → deployments → (audio, cestas, privacy), never back; Ray only at the rim."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("audio", "cestas", "deployments", "privacy", "serve_app")
MAY_IMPORT = {
    "audio": {"audio"},
    "cestas": {"cestas"},
    "deployments": {"audio", "cestas", "deployments", "privacy"},
    "privacy": {"privacy"},
    "serve_app": {"audio", "cestas", "deployments", "privacy", "serve_app"},
}
COMMANDS = {"evaluate.py"}
"""Command lines in a pure room that measure time; nothing imports them."""
RAY_RIM = {"serve_app/asking.py", "serve_app/build.py", "serve_app/ingress.py", "serve_app/metrics.py"}
IMPURE = {
    "asyncio",
    "asyncpg",
    "datetime",
    "elevenlabs",
    "fastapi",
    "httpx",
    "openai",
    "os",
    "ray",
    "requests",
    "secrets",
    "socket",
    "sqlite3",
    "starlette",
    "subprocess",
    "threading",
    "time",
    "uuid",
    "websockets",
}


@functools.cache
def imported_by(path: Path) -> frozenset[str]:
    """Top-level names of everything that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return frozenset(names)


def modules(*rooms: str) -> list[Path]:
    """Every Python module of these rooms."""
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_runs_back(room):
    ours = {*ROOMS, "bench", "tests", "samples"}
    back = {str(path): bad for path in modules(room) if (bad := imported_by(path) & ours - MAY_IMPORT[room])}
    assert modules(room)
    assert back == {}


def test_the_pure_rooms_know_no_network_no_clock_and_no_environment():
    paths = [path for path in modules("audio", "cestas", "privacy") if path.name not in COMMANDS]
    impure = {str(path): bad for path in paths if (bad := imported_by(path) & IMPURE)}
    assert impure == {}


def test_ray_is_imported_at_the_rim_only():
    with_ray = {str(path.relative_to(ROOT)) for path in modules(*ROOMS) if "ray" in imported_by(path)}
    assert with_ray == RAY_RIM


def test_the_environment_is_read_in_the_settings_only():
    readers = {
        str(path.relative_to(ROOT))
        for path in modules(*ROOMS)
        if any(name in path.read_text() for name in ("os.environ", "os.getenv", "from os import environ"))
    }
    assert readers <= {"serve_app/settings.py", "serve_app/local_ray.py"}
