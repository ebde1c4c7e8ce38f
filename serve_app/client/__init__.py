"""A counter in Python: streams audio to Balto, resumes after a lost connection and shows each suggestion once."""

from serve_app.client.command import main
from serve_app.client.connection import HEADERS, CounterClient, is_loopback
from serve_app.client.decisions import Backoff, Endpoints, Ledger, ResendBuffer, Resume, catch_up_pause_s
from serve_app.client.errors import BadAudioFile, ClientError, ConnectionLost, FinishTimedOut, Refused
from serve_app.client.events import Event, describe
from serve_app.client.messages import handshake, parse, refusal
from serve_app.client.settings import AudioFormat, ClientSettings, Generation
from serve_app.client.sources import LiveSource, PcmSource, Source, WebmSource, paced, pcm_of_wav, source_from_file

__all__ = [
    "HEADERS",
    "AudioFormat",
    "Backoff",
    "BadAudioFile",
    "ClientError",
    "ClientSettings",
    "ConnectionLost",
    "CounterClient",
    "Endpoints",
    "Event",
    "FinishTimedOut",
    "Generation",
    "Ledger",
    "LiveSource",
    "PcmSource",
    "Refused",
    "ResendBuffer",
    "Resume",
    "Source",
    "WebmSource",
    "catch_up_pause_s",
    "describe",
    "handshake",
    "is_loopback",
    "main",
    "paced",
    "parse",
    "pcm_of_wav",
    "refusal",
    "source_from_file",
]
