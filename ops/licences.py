"""`make licences`: what is installed at run time, with its licence, as a Markdown table on standard output."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
_FILES: Final = ("requirements.txt", "requirements-nodeps.txt")
_HEAD: Final = """# Third-party licences

What the service installs at run time (requirements.txt, requirements-nodeps.txt, and what these bring), with the
licence that each package states. Made by `make licences`; on another Python or system some versions differ.

| package | version | licence | from |
|---|---|---|---|"""


def main() -> int:
    """Print the table; 1 where something is not installed or states no licence."""
    found = dict(_closure(list(_pinned())))
    rows = [(name, there.version, licence_of(there), _home(there)) for name, there in sorted(found.items())]
    lines = [f"| {name} | {version} | {licence} | {home} |" for name, version, licence, home in rows]
    sys.stdout.write("\n".join([_HEAD, *lines]) + "\n")
    unknown = [name for name, _, licence, _ in rows if not licence]
    if unknown:
        sys.stderr.write(f"licences: no licence is stated by {', '.join(unknown)}; look it up before you ship\n")
    return int(bool(unknown))


def _pinned() -> Iterator[Requirement]:
    for name in _FILES:
        for line in (ROOT / name).read_text().splitlines():
            text = line.partition("#")[0].strip()
            if text and not text.startswith("-"):
                yield Requirement(text)


def _closure(wanted: list[Requirement]) -> Iterator[tuple[str, Distribution]]:
    """Every distribution that these requirements bring on this Python and system."""
    alone = {canonicalize_name(line.partition("=")[0]) for line in (ROOT / _FILES[1]).read_text().splitlines()}
    seen: set[tuple[str, str]] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen or not _applies(requirement, ""):
                continue
            seen.add((name, extra))
            try:
                there = distribution(requirement.name)
            except PackageNotFoundError:
                sys.stderr.write(f"licences: {requirement.name} is not installed; make setup\n")
                continue
            yield name, there
            if name not in alone:
                wanted += [each for each in _requires(there) if _applies(each, extra)]


def _requires(there: Distribution) -> Iterator[Requirement]:
    for text in there.requires or ():
        try:
            yield Requirement(text)
        except InvalidRequirement:
            sys.stderr.write(f"licences: {there.name} requires something that cannot be read: {text}\n")


def _applies(requirement: Requirement, extra: str) -> bool:
    environment: dict[str, Any] = {**default_environment(), "extra": extra}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def licence_of(there: Distribution) -> str:
    """What a package says its licence is: its expression, else its classifiers, else the first line of its text."""
    stated = _field(there, "License-Expression")
    classified = [
        each.rpartition(" :: ")[2]
        for each in there.metadata.get_all("Classifier") or ()
        if each.startswith("License :: ") and not each.endswith("OSI Approved")
    ]
    text = _field(there, "License").strip().splitlines()
    return re.sub(r"\|", "/", stated or ", ".join(classified) or (text[0][:80] if text else ""))


def _field(there: Distribution, name: str) -> str:
    return str((there.metadata.get_all(name) or [""])[0])


def _home(there: Distribution) -> str:
    urls = there.metadata.get_all("Project-URL") or ()
    named = [url.partition(",")[2].strip() for url in urls]
    return _field(there, "Home-page") or (named[0] if named else "")


if __name__ == "__main__":
    sys.exit(main())
