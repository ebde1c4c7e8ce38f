"""`python -m cestas.check_catalogue DIR`: what of a pharmacy's own catalogue would never be suggested, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cestas.catalogue import Catalogue
from cestas.data_files import CestasError
from cestas.lexicon import Lexicon, shipped
from cestas.model import Entities
from cestas.safety import check

FILES = ("cestas.json", "produtos.json")


@dataclass(frozen=True, slots=True)
class Checked:
    """One catalogue's names: how many there are, and those that are never suggested, each once, in the file's order."""

    names: int
    unknown: tuple[str, ...]
    """Names of which nobody knows what they contain: the gate lets none of them through."""
    behind_the_counter: tuple[str, ...]
    """Names of what needs a prescription."""

    @property
    def known_share(self) -> float:
        """Part of the names that the gate can resolve, 0..1."""
        return 1.0 - len(self.unknown) / self.names if self.names else 1.0


def checked(catalogue: Catalogue, lexicon: Lexicon) -> Checked:
    """What the gate makes of every name in `catalogue`, for a person of whom nothing is known."""
    items = {item.suggestion: item for item in catalogue.items()}
    unknown = unknown_names(catalogue, lexicon)
    rest = [item for name, item in items.items() if name not in set(unknown)]
    blocked = [item for item in rest if check([item], Entities(), lexicon, catalogue).blocked]
    return Checked(len(items), unknown, tuple(item.suggestion for item in blocked))


def unknown_names(catalogue: Catalogue, lexicon: Lexicon) -> tuple[str, ...]:
    """Names in `catalogue` of which nobody knows what they contain, each once, in the file's order."""
    names = dict.fromkeys(item.suggestion for item in catalogue.items())
    return tuple(name for name in names if not lexicon.resolve(name))


def catalogues_in(folder: Path) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Name, `cestas.json` and `produtos.json` of the catalogue in `folder`, else of each one in its subfolders."""
    for place in [folder] if _paths(folder) != (None, None) else sorted(p for p in folder.iterdir() if p.is_dir()):
        cestas_path, produtos_path = _paths(place)
        if cestas_path or produtos_path:
            yield place.name, cestas_path, produtos_path


def _paths(folder: Path) -> tuple[Path | None, Path | None]:
    cestas_path, produtos_path = (folder / name for name in FILES)
    return (
        cestas_path if cestas_path.is_file() else None,
        produtos_path if produtos_path.is_file() else None,
    )


def _lines(name: str, result: Checked) -> Iterator[str]:
    yield f"{name}: {result.names} names, {result.known_share:.1%} of them known"
    for unknown in result.unknown:
        yield f"  '{unknown}': nobody knows what it contains; use a name of medicines.json or articles.json"
    for item in result.behind_the_counter:
        yield f"  '{item}': needs a prescription, or its explanation names what does; never suggested"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 1 when something cannot be suggested or a file is refused, 2 where there is no file."""
    parser = argparse.ArgumentParser(prog="python -m cestas.check_catalogue", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with cestas.json or produtos.json, or one of such folders")
    options = parser.parse_args(arguments)
    found = list(catalogues_in(options.folder)) if options.folder.is_dir() else []
    if not found:
        sys.stderr.write(f"{options.folder}: no {' or '.join(FILES)} in it or in a folder of it\n")
        return 2
    sound = True
    for name, cestas_path, produtos_path in found:
        try:
            result = checked(_own(cestas_path, produtos_path), shipped())
        except CestasError as error:
            sys.stdout.write(f"{name}: refused: {error}\n")
            sound = False
            continue
        sys.stdout.write("".join(f"{line}\n" for line in _lines(name, result)))
        sound = sound and not (result.unknown or result.behind_the_counter)
    return 0 if sound else 1


def _own(cestas_path: Path | None, produtos_path: Path | None) -> Catalogue:
    """The catalogue of a folder, without what is shipped in place of a file that is not there."""
    whole = Catalogue.load(cestas_path, produtos_path)
    return Catalogue(
        whole.by_micro if cestas_path else {},
        whole.by_macro if cestas_path else {},
        whole.products if produtos_path else (),
        whole.roles,
    )


if __name__ == "__main__":
    raise SystemExit(main())
