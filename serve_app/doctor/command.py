"""The command line of the doctor: what it looks at, in which order, and how it tells."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from serve_app.doctor import configuration, machine, reach
from serve_app.doctor.finding import Finding, ok, wrong
from serve_app.run import CannotRun, load
from serve_app.settings import ROOT, BaltoSettings, Environment, missing_fast_flags

_SIGNS: Final = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


@dataclass(frozen=True, slots=True)
class Patient:
    """A deployment to look over."""

    config_path: Path = ROOT / "serve_config.yaml"
    env_path: Path = ROOT / ".env"
    url: str | None = None
    """The public address, https://…"""
    backups_dir: Path | None = None
    """Where dumps lie; None: not looked at."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Look a deployment over. Exit code 0: nothing is wrong (warnings allowed); 1: something is."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.doctor", description=main.__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    parser.add_argument("--url", help="the public address, https://…: its certificate, its answer, its clock")
    parser.add_argument("--backups", type=Path, metavar="FOLDER", help="where ops/bin/backup puts dumps: their age")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    options = parser.parse_args(arguments)
    findings = list(look_over(Patient(options.config, ROOT / ".env", options.url, options.backups)))
    print(as_json(findings) if options.json else as_lines(findings))
    return int(any(finding.state == "wrong" for finding in findings))


def look_over(patient: Patient) -> Iterator[Finding]:
    """Everything found, in the order in which one would look. Takes some 2 s, and 20 s where nothing answers."""
    yield machine.python_version()
    yield machine.ray_version(ROOT / "requirements.txt")
    yield machine.haproxy()
    yield machine.flags(missing_fast_flags())
    yield machine.open_files()
    yield machine.memory()
    yield machine.private(patient.env_path)
    if patient.backups_dir is not None:
        yield machine.backups(patient.backups_dir)
    try:
        environment, settings, _ = load(patient.config_path, lean=False)
    except CannotRun as exc:
        yield wrong(
            "settings", str(exc), "serve_config.yaml has a comment for each setting, .env.example for each name"
        )
    else:
        yield ok("settings", f"{patient.config_path.name} and the environment are understood")
        yield from _configured(environment, settings)
    if patient.url is not None:
        yield reach.certificate(patient.url)
        yield from reach.address(patient.url)


def _configured(environment: Environment, settings: BaltoSettings) -> Iterator[Finding]:
    yield from configuration.keys(environment)
    yield configuration.storage_key(environment)
    yield from configuration.catalogues(settings)
    yield machine.disk(environment.state_dir)
    yield from machine.secrets_of(environment.state_dir)
    found = reach.health(f"http://127.0.0.1:{environment.port}", _token(environment))
    yield machine.port("port", environment.port, "PORT", ours=found is not None)
    if environment.metrics_port is not None:
        yield machine.port("metrics port", environment.metrics_port, "METRICS_PORT", ours=found is not None)
    yield from reach.service(found)
    url = environment.postgres_url
    yield reach.database(settings.telemetry, None if url is None else url.get_secret_value())


def _token(environment: Environment) -> str | None:
    if environment.admin_secret is not None:
        return environment.admin_secret.get_secret_value()
    try:
        return (environment.state_dir / "admin_secret").read_text().strip()
    except OSError:
        return None


def as_lines(findings: Sequence[Finding]) -> str:
    """One line each, what to do below it, and how many there are of each state."""
    lines = []
    for finding in findings:
        lines.append(f"{_SIGNS[finding.state]}  {finding.check}: {finding.says}")
        if finding.do:
            lines.append(f"           → {finding.do}")
    tally = Counter(finding.state for finding in findings)
    return "\n".join([*lines, f"{tally['ok']} ok, {tally['warning']} warnings, {tally['wrong']} wrong"])


def as_json(findings: Sequence[Finding]) -> str:
    """`{"wrong": n, "warnings": n, "findings": [{check, state, says, do}]}`."""
    tally = Counter(finding.state for finding in findings)
    document = {"wrong": tally["wrong"], "warnings": tally["warning"], "findings": [asdict(each) for each in findings]}
    return json.dumps(document, ensure_ascii=False, indent=1)
