"""Each client's own catalogue, loaded on demand and again when its files change; the last good one serves."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cestas.advise import prepare
from cestas.catalogue import Catalogue, CatalogueError
from cestas.check_catalogue import unknown_names
from cestas.data_files import DATA_DIR
from cestas.lexicon import Lexicon
from deployments.metrics import Metrics, NoMetrics
from deployments.recommender.settings import CataloguesSettings

log = logging.getLogger("balto.recommender")

COMMON: Final = ""
"""Name of the catalogue of everybody who has none of their own."""
FIRST_WAIT_S: Final = 0.5
"""How long the first question of a client waits for its catalogue; a slow disk must not cost the suggestion."""
REFUSED_TOLD: Final = 20
"""Refused catalogues that `/saude` lists."""
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")

Stamp = tuple[tuple[str, int, int], ...]
"""Path, time of change in nanoseconds and size in bytes of each file."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at the files found: a catalogue, or why there is none."""

    stamp: Stamp
    catalogue: Catalogue | None = None
    refused: str = ""
    unknown: int = 0


@dataclass(slots=True, eq=False)
class _Shelf:
    """One client's catalogue and the look at its files that is under way."""

    looked_at_s: float
    stamp: Stamp | None = None
    catalogue: Catalogue | None = None
    refused: str = ""
    looking: asyncio.Task[None] | None = None


class Catalogues:
    """The common catalogue and those of clients. `clock` gives monotonic seconds.

    Raises CatalogueError at the start when the common one is malformed; later a malformed version of any file is
    refused, logged and told in `health`, and the last good one goes on serving.
    """

    def __init__(
        self,
        settings: CataloguesSettings,
        lexicon: Lexicon,
        cestas_path: Path | None = None,
        produtos_path: Path | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._lexicon = lexicon
        self._common_paths = (cestas_path or DATA_DIR / "cestas.json", produtos_path or DATA_DIR / "produtos.json")
        self._metrics = metrics if metrics is not None else NoMetrics()
        self._clock = clock
        common = Catalogue.load(*self._common_paths)
        prepare(lexicon, common)
        self._common = _Shelf(clock(), _stamp(self._common_paths), common)
        self._clients: OrderedDict[str, _Shelf] = OrderedDict()
        self._looks: set[asyncio.Task[None]] = set()

    async def of(self, client_id: str) -> Catalogue:
        """The catalogue to serve this client from; a change of its files shows from one of the next calls on."""
        common = self._current(self._common, COMMON)
        if self._settings.dir is None or not _SAFE_NAME.fullmatch(client_id):
            return common
        shelf = self._shelf(client_id)
        if shelf.stamp is None and shelf.looking is not None:
            await asyncio.wait({shelf.looking}, timeout=FIRST_WAIT_S)
        return self._current(shelf, client_id)

    def health(self) -> dict[str, Any]:
        """How many clients have a catalogue of their own here, and which versions were refused, and why."""
        refused = {name or "comum": shelf.refused for name, shelf in self._all() if shelf.refused}
        own = sum(shelf.catalogue is not None for shelf in self._clients.values())
        return {"proprios": own, "recusados": dict(list(refused.items())[:REFUSED_TOLD])}

    async def close(self) -> None:
        """Wait for looks that are under way."""
        if self._looks:
            await asyncio.wait(self._looks)

    def _all(self) -> list[tuple[str, _Shelf]]:
        return [(COMMON, self._common), *self._clients.items()]

    def _current(self, shelf: _Shelf, client_id: str) -> Catalogue:
        """The catalogue as it is known; where its files were last looked at too long ago, another look begins."""
        due = self._clock() - shelf.looked_at_s >= self._settings.check_every_s
        if due and (shelf.looking is None or shelf.looking.done()):
            self._begin_look(shelf, client_id)
        return shelf.catalogue or self._common_catalogue

    def _shelf(self, client_id: str) -> _Shelf:
        """The client's shelf; a new one is being filled, and the one that was not asked for longest goes."""
        shelf = self._clients.get(client_id)
        if shelf is None:
            shelf = self._clients[client_id] = _Shelf(self._clock())
            self._begin_look(shelf, client_id)
        self._clients.move_to_end(client_id)
        while len(self._clients) > self._settings.loaded_max:
            self._clients.popitem(last=False)
        return shelf

    def _begin_look(self, shelf: _Shelf, client_id: str) -> None:
        shelf.looking = asyncio.create_task(self._look(shelf, client_id))
        self._looks.add(shelf.looking)
        shelf.looking.add_done_callback(self._looks.discard)

    @property
    def _common_catalogue(self) -> Catalogue:
        catalogue = self._common.catalogue
        if catalogue is None:  # it is loaded by the constructor, and never replaced by nothing
            raise RuntimeError("the common catalogue is gone")
        return catalogue

    async def _look(self, shelf: _Shelf, client_id: str) -> None:
        """Look at the files, and load what changed, off the event loop."""
        seen = await asyncio.to_thread(self._seen, self._paths(client_id), shelf.stamp)
        shelf.looked_at_s = self._clock()
        if seen is None:
            return
        shelf.stamp, shelf.refused = seen.stamp, seen.refused
        if seen.refused:
            log.warning("catalogue_refused client=%s reason=%s", client_id or "common", seen.refused)
            self._metrics.count("catalogue_loads_total", result="refused")
            return
        shelf.catalogue = seen.catalogue
        if seen.catalogue is not None:
            log.info("catalogue_loaded client=%s unknown_names=%d", client_id or "common", seen.unknown)
            self._metrics.count("catalogue_loads_total", result="ok")

    def _paths(self, client_id: str) -> tuple[Path, Path]:
        """Where a client's files are, or would be."""
        if client_id == COMMON or self._settings.dir is None:
            return self._common_paths
        folder = self._settings.dir / client_id
        return folder / "cestas.json", folder / "produtos.json"

    def _seen(self, paths: tuple[Path, Path], known: Stamp | None) -> _Seen | None:
        """What the files hold now; None where they are those of the stamp `known`. Blocks: it reads and parses."""
        stamp = _stamp(paths)
        if stamp or paths == self._common_paths:
            there = {path for path, _, _ in stamp}
            paths = (
                paths[0] if str(paths[0]) in there else self._common_paths[0],
                paths[1] if str(paths[1]) in there else self._common_paths[1],
            )
            stamp = _stamp(paths)
        if stamp == known:
            return None
        if not stamp:
            return _Seen(stamp)
        try:
            self._check_size(stamp)
            catalogue = Catalogue.load(*paths)
        except CatalogueError as error:
            return _Seen(stamp, refused=str(error))
        return _Seen(stamp, catalogue, unknown=len(unknown_names(catalogue, self._lexicon)))

    def _check_size(self, stamp: Stamp) -> None:
        for path, _, size in stamp:
            if size > self._settings.file_bytes_max:
                raise CatalogueError(
                    f"{Path(path).name}: {size} bytes are more than recommender.catalogues.file_bytes_max "
                    f"({self._settings.file_bytes_max})"
                )


def _stamp(paths: tuple[Path, ...]) -> Stamp:
    stamps = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue  # reading it says why it cannot be read
        stamps.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(stamps)
