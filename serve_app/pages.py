"""The browser's pages: read once, compressed once, cached for good under a version, behind a strict CSP."""

# No `from __future__ import annotations` here: FastAPI reads the real annotations.
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, Response

from serve_app.rest.guards import Anybody, ReplicaHere
from serve_app.settings import ROOT

WEB: Final = Path(__file__).resolve().parent / "web"
SAMPLE: Final = ROOT / "samples" / "balcao.wav"
COUNTER_PAGE: Final = "index.html"
VERSION_MARK: Final = "{{web}}"
"""What a page writes where the address of its files belongs: `{{web}}/js/app.js`."""
FOREVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""What is served; everything else in the folder is not, pages included: those have addresses of their own."""
ZIPPED_FROM_BYTES: Final = 256
"""Below this a compressed answer is no smaller."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent: plain and gzipped (empty where that is no smaller), its type, a hash of its content."""

    body: bytes
    zipped: bytes
    media_type: str
    content_hash: str


class Site:
    """Every file of a folder that browsers may have, held in memory; a few hundred kilobytes.

    `version` changes with any of them. Files refer to each other by relative addresses, so all that a page loads
    carries the version of the page.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in _servable(folder)}
        hashes = "".join(f"{name}{file.content_hash}" for name, file in sorted(self._files.items()))
        self.version = _hash(hashes.encode())

    def file(self, name: str) -> StaticFile | None:
        """The file of this name below the folder, None where there is none that may be served."""
        return self._files.get(name)

    def page(self, name: str) -> StaticFile:
        """A page with the address of this version's files filled in. Raises FileNotFoundError."""
        text = (self._folder / name).read_text(encoding="utf-8").replace(VERSION_MARK, f"/web/{self.version}")
        return _static(text.encode(), "text/html; charset=utf-8")


def _servable(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES and path.is_file())


def _read(path: Path) -> StaticFile:
    return _static(path.read_bytes(), MEDIA_TYPES[path.suffix])


def _static(body: bytes, media_type: str) -> StaticFile:
    zipped = b"" if len(body) < ZIPPED_FROM_BYTES else gzip.compress(body, 9, mtime=0)
    return StaticFile(body, zipped if len(zipped) < len(body) else b"", media_type, _hash(body))


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


@lru_cache(maxsize=1)
def site() -> Site:
    """The files of `serve_app/web`, read when first asked for."""
    return Site(WEB)


@lru_cache(maxsize=8)
def page(name: str) -> StaticFile:
    """A page of `serve_app/web`. Raises FileNotFoundError."""
    return site().page(name)


def answer(request: Request, file: StaticFile, cache: str) -> Response:
    """A static file: 304 where the browser has it already, gzipped where it takes that."""
    zipped = bool(file.zipped) and "gzip" in request.headers.get("accept-encoding", "")
    etag = f'"{file.content_hash}{"-gzip" if zipped else ""}"'
    headers = {"Cache-Control": cache, "ETag": etag, "Vary": "Accept-Encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(file.zipped if zipped else file.body, media_type=file.media_type, headers=headers)


router = APIRouter(include_in_schema=False)


@router.get("/")
async def counter_page(request: Request, _: Anybody, here: ReplicaHere) -> Response:
    """The counter's page."""
    here.door.metrics.count("pages", page="balcao")
    return answer(request, page(COUNTER_PAGE), ASK_AGAIN)


@router.get("/web/{version}/{name:path}")
async def web_file(request: Request, version: str, name: str, _: Anybody) -> Response:
    """A file of the pages. Under another version than ours (a replica before or after us) it is not to be kept."""
    file = site().file(name)
    if file is None:
        raise HTTPException(404, "não há este arquivo")
    return answer(request, file, FOREVER if version == site().version else ASK_AGAIN)


@router.get("/amostra/balcao.wav")
async def sample_conversation(_: Anybody) -> Response:
    """The bundled conversation, which the page plays into the service; fetched only when somebody asks for it."""
    if not SAMPLE.is_file():
        raise HTTPException(404, "a conversa de exemplo não está instalada neste servidor")
    return FileResponse(SAMPLE, media_type="audio/wav", headers={"Cache-Control": "public, max-age=86400"})


def add_to(app: FastAPI) -> None:
    """Add the pages' routes; before others, so that `/` is the counter's page."""
    app.include_router(router)
