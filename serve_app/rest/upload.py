"""A form with audio in it, read into memory alone: what people said never lies in a temporary file."""

from typing import Any

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

FIELD_MAX_BYTES = 1024
PROVIDER_MAX = 64


class AudioForm(BaseModel):
    """What the form held: the bytes of `audio` as they were sent, and `provider`, if it was there."""

    model_config = ConfigDict(frozen=True)

    audio: bytes
    provider: str = ""


class AudioFormReader:
    """A dependency that reads a form with these fields in it, of which `audio` must be there."""

    def __init__(self, *fields: str) -> None:
        self._fields = frozenset(fields)

    async def __call__(self, request: Request) -> AudioForm:
        """The form of a request. Raises HTTPException 400 (not such a form), 422 (a field is missing or unknown)."""
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise HTTPException(400, "envie um formulário multipart/form-data com o campo audio")
        parser = MultiPartParser(request.headers, request.stream(), max_part_size=FIELD_MAX_BYTES)
        parser.spool_max_size = 1 << 40  # the request's size is limited already
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, ValueError) as exc:
            raise HTTPException(400, "o formulário não pode ser lido") from exc
        try:
            return await self._read(form)
        finally:
            await form.close()

    async def _read(self, form: FormData) -> AudioForm:
        unknown = set(form) - self._fields
        if unknown:
            raise HTTPException(422, f"o formulário tem campos demais; há só {', '.join(sorted(self._fields))}")
        audio, provider = form.get("audio"), form.get("provider", "")
        if not isinstance(audio, UploadFile):
            raise HTTPException(422, "audio: falta o arquivo")
        if not isinstance(provider, str) or len(provider) > PROVIDER_MAX:
            raise HTTPException(422, f"provider: um nome de até {PROVIDER_MAX} letras")
        return AudioForm(audio=await audio.read(), provider=provider)


def form_schema(*, with_provider: bool) -> dict[str, Any]:
    """The form for the OpenAPI document."""
    properties: dict[str, Any] = {"audio": {"type": "string", "format": "binary"}}
    if with_provider:
        properties["provider"] = {"type": "string", "maxLength": PROVIDER_MAX}
    schema = {"type": "object", "required": ["audio"], "properties": properties, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
