"""Trying the stages out one by one: what is found in a recording, what is heard, what is advised. Nothing is kept."""

import asyncio
import base64
import io
import wave
from typing import Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field, StringConstraints

from audio.decode import SniffingDecoder
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Utterance
from deployments.recommender.port import AdviceRequest
from deployments.speech_to_text.port import TranscriptionRequest
from serve_app.rest.fields import Body
from serve_app.rest.guards import Replica, ReplicaHere, SignedInPerson
from serve_app.rest.upload import AudioForm, AudioFormReader, form_schema

router = APIRouter(prefix="/api/test", tags=["teste"])

BUDGET_S: Final = 15.0
"""For one try; the counters' own deadline is shorter."""
PIECE_BYTES: Final = 8_000
Recording = Annotated[AudioForm, Depends(AudioFormReader("audio"))]
RecordingForProvider = Annotated[AudioForm, Depends(AudioFormReader("audio", "provider"))]


class Segment(BaseModel):
    """One utterance found: a WAV of 16 kHz, mono, 16 bits, in Base64, and its size in bytes."""

    size_bytes: int
    duration_sec: float
    audio_base64: str


class Segments(BaseModel):
    """The utterances found in a recording, in order."""

    segments: list[Segment]
    total_segments: int


class Heard(BaseModel):
    """What was heard; `simulado` where the demonstration recogniser heard it."""

    texto: str
    provider: str
    simulado: bool
    custo_usd: float
    ms: float


class Said(Body):
    """A text as if it had been heard."""

    texto: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


class AdvisedItem(BaseModel):
    """One suggestion, as counters show it."""

    id: str
    sugestao: str
    explicacao: str
    tag: str


class Held(BaseModel):
    """A suggestion that the safety gate held back, and the rule that did."""

    item: str
    regra: str


class Advised(BaseModel):
    """What was understood and what a counter would be shown."""

    status: str
    itens: list[AdvisedItem]
    bloqueados: list[Held]
    alerta: str
    cesta: str
    macro: str | None
    micro: str | None
    confianca: float
    medicamentos: list[str]
    sintomas: list[str]
    doencas: list[str]
    situacoes: list[str]
    origem: str
    conselheiro: str
    modelo: str
    custo_usd: float = Field(ge=0)
    ms: float


@router.post("/segmentar", openapi_extra=form_schema(with_provider=False))
async def segment(who: SignedInPerson, here: ReplicaHere, form: Recording) -> Segments:
    """The utterances that the service finds in a recording (PCM, WAV of 16 kHz mono, WebM/Opus)."""
    here.access.take_trial(who)
    pcm = await _decoded(here, form.audio)
    found = await asyncio.to_thread(_utterances, here.door.settings.segmenter, pcm)
    segments = [_segment(utterance) for utterance in found]
    return Segments(segments=segments, total_segments=len(segments))


@router.post("/transcrever", openapi_extra=form_schema(with_provider=True))
async def transcribe(who: SignedInPerson, here: ReplicaHere, form: RecordingForProvider) -> Heard:
    """What the configured provider hears in a recording, without what identifies anybody; `provider`, where it is
    given, must be that one."""
    here.access.take_trial(who)
    await _check_provider(here, form.provider)
    pcm = await _decoded(here, form.audio)
    heard = await here.door.stages.transcribe(TranscriptionRequest(f"teste-{uuid4()}", pcm, BUDGET_S))
    if heard.status not in ("ok", "vazio"):
        raise HTTPException(503, f"o reconhecimento de fala não respondeu ({heard.status}); tente de novo")
    return Heard(
        texto=here.door.redactor.redact(heard.text).text,
        provider=heard.provider,
        simulado=heard.simulated,
        custo_usd=heard.cost_usd,
        ms=heard.elapsed_ms,
    )


@router.post("/analisar")
async def analyse(said: Said, who: SignedInPerson, here: ReplicaHere) -> Advised:
    """What would be advised on a text, from which first is taken what identifies anybody."""
    here.access.take_trial(who)
    text = here.door.redactor.redact(said.texto).text
    request = AdviceRequest(f"teste-{uuid4()}", text, BUDGET_S, client_id=who.client_id)
    advice = await here.door.stages.advise(request)
    read = advice.entities
    return Advised(
        status=advice.status,
        itens=[
            AdvisedItem(id=item.id, sugestao=item.suggestion, explicacao=item.explanation, tag=item.tag)
            for item in advice.items
        ],
        bloqueados=[Held(item=block.item_id, regra=block.rule_id) for block in advice.blocked],
        alerta=advice.alert,
        cesta=advice.cesta,
        macro=advice.macro,
        micro=advice.micro,
        confianca=advice.confidence,
        medicamentos=list(read.medicines),
        sintomas=list(read.symptoms),
        doencas=list(read.diseases),
        situacoes=list(read.situations),
        origem=advice.origin,
        conselheiro=advice.advisor,
        modelo=advice.model,
        custo_usd=advice.cost_usd,
        ms=advice.elapsed_ms,
    )


async def _check_provider(here: Replica, wanted: str) -> None:
    if wanted in ("", "auto"):
        return
    used = str((await here.door.stages.health()).get("fala", {}).get("provider", ""))
    if wanted != used:
        raise HTTPException(409, f"provider: este servidor usa {used or 'outro'}; deixe em branco ou mande auto")


async def _decoded(here: Replica, audio: bytes) -> bytes:
    return await asyncio.to_thread(_pcm, audio, here.access.settings.trial_audio_max_bytes)


def _pcm(audio: bytes, limit_bytes: int) -> bytes:
    """16 kHz mono s16le. Decoded in pieces: a small file may hold hours of silence. Raises AudioInvalid, 413."""
    decoder, pcm = SniffingDecoder(), bytearray()
    for first in range(0, len(audio), PIECE_BYTES):
        pcm += decoder.feed(audio[first : first + PIECE_BYTES])
        if len(pcm) > limit_bytes:
            seconds = limit_bytes // (BYTES_PER_SAMPLE * SAMPLE_RATE_HZ)
            raise HTTPException(413, f"o áudio passa de {seconds} s; mande um trecho menor")
    return bytes(pcm + decoder.flush())


def _utterances(settings: SegmenterSettings, pcm: bytes) -> list[Utterance]:
    segmenter = Segmenter(settings)
    pieces = range(0, len(pcm), PIECE_BYTES)
    found = [utterance for first in pieces for utterance in segmenter.feed(pcm[first : first + PIECE_BYTES])]
    return found + segmenter.flush()


def _segment(utterance: Utterance) -> Segment:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(BYTES_PER_SAMPLE)
        wav.setframerate(SAMPLE_RATE_HZ)
        wav.writeframes(utterance.pcm)
    data = file.getvalue()
    return Segment(
        size_bytes=len(data),
        duration_sec=round(utterance.duration_s, 3),
        audio_base64=base64.b64encode(data).decode(),
    )
