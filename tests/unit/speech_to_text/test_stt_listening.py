"""Listening along: an utterance's own samples are fed once, and whatever goes wrong ends in batch recognition."""

import asyncio
from collections import deque
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from audio.utterance import Utterance
from deployments.speech_to_text.adapter_settings import ListeningSettings, RealtimeSettings
from deployments.speech_to_text.listening import Listener, build_listener
from deployments.speech_to_text.port import SttTimeout, SttUnavailable, Transcript
from deployments.speech_to_text.providers import ProviderNotUsable
from deployments.speech_to_text.routing import RoutingSettings
from deployments.speech_to_text.settings import SpeechToTextSettings
from tests.unit.speech_to_text.stt_fakes import SECOND, CountedMetrics

GATE = SimpleNamespace()


class ScriptedSession:
    """Answers each commit with its next step; an exception kills it, as in the port."""

    def __init__(self, steps, feed_error=None):
        self._steps = steps
        self.feed_error = feed_error
        self.fed = [b""]
        self.alive = True
        self.partial = "estou com"
        self.closed = False
        self._bytes = 0

    @property
    def spent_usd(self):
        return self._bytes / 32_000

    async def feed(self, pcm):
        if self.feed_error is not None:
            self.alive = False
            raise self.feed_error
        self.fed[-1] += pcm
        self._bytes += len(pcm)

    async def commit(self, budget_s):
        self.fed.append(b"")
        step = self._steps.popleft()
        if isinstance(step, Exception):
            self.alive = False
            raise step
        return Transcript(step, (), "tempo-real", 0.0)

    async def close(self):
        self.closed = True


class ScriptedRealtime:
    """Opens sessions; an exception among `steps` before any was opened is met by the opening."""

    name = "elevenlabs_realtime"
    simulated = False

    def __init__(self, *steps, opening=(), feed_error=None):
        self.steps, self.opening, self.feed_error = deque(steps), deque(opening), feed_error
        self.sessions = []
        self.keyterms = []

    async def open(self, keyterms, budget_s, on_partial=None):
        self.keyterms.append(keyterms)
        if self.opening and (error := self.opening.popleft()) is not None:
            raise error
        self.sessions.append(ScriptedSession(self.steps, self.feed_error))
        self.feed_error = None
        return self.sessions[-1]

    async def close(self):
        pass


def listener_of(provider, **listening):
    settings = SpeechToTextSettings(
        realtime="on",
        listening=ListeningSettings(**{"clients": ("*",), **listening}),
        elevenlabs_realtime=RealtimeSettings(api_key=SecretStr("k")),
    )
    return Listener(settings, provider, CountedMetrics())


def utterance(pcm, first_sample=0):
    return Utterance(first_sample, first_sample + len(pcm) // 2, pcm, b"", GATE, "silence")


def spoken(pcm, first_sample=0):
    """A Segmenter.certain_from of somebody who has said `pcm`."""
    return lambda sample: (first_sample, pcm[max(0, sample - first_sample) * 2 :])


def lived(course, provider, **listening):
    """What `course(ear)` returns, and what was billed."""

    async def live():
        listener, billed = listener_of(provider, **listening), []
        listener.spent = lambda client_id, usd: billed.append(round(usd, 6))
        ear = listener.ear("drogaria")
        try:
            return await asyncio.wait_for(course(ear), 5), sum(billed), listener
        finally:
            await ear.close()
            await listener.close()

    return asyncio.run(live())


def test_what_is_said_is_fed_while_it_is_said_and_exactly_that_is_committed_at_the_end():
    provider = ScriptedRealtime("estou com dor")

    async def course(ear):
        for said in (1, 2, 3):
            ear.follow(spoken(SECOND * said))
            await asyncio.sleep(0)
        return await ear.hear(utterance(SECOND * 3 + b"\x07\x00" * 800))

    heard, billed, _ = lived(course, provider)
    assert heard.transcript.text == "estou com dor"
    assert provider.sessions[0].fed == [SECOND * 3 + b"\x07\x00" * 800, b""]
    assert billed == pytest.approx(heard.cost_usd) == pytest.approx(3.05)
    assert provider.sessions[0].closed


def test_the_session_is_kept_for_the_next_utterance():
    provider = ScriptedRealtime("um", "dois")

    async def course(ear):
        return [(await ear.hear(utterance(SECOND, at))).transcript.text for at in (0, 50_000)]

    texts, _, _ = lived(course, provider)
    assert texts == ["um", "dois"]
    assert len(provider.sessions) == 1


def test_an_utterance_that_goes_on_after_it_was_offered_has_the_text_of_both_parts_and_the_cost_of_one():
    provider = ScriptedRealtime("estou com dor", "de cabeça")

    async def course(ear):
        offered = await ear.hear(utterance(SECOND))
        return offered, await ear.hear(utterance(SECOND * 2))

    (offered, final), billed, _ = lived(course, provider)
    assert offered.transcript.text == "estou com dor"
    assert final.transcript.text == "estou com dor de cabeça"
    assert provider.sessions[0].fed == [SECOND, SECOND, b""]
    assert billed == pytest.approx(final.cost_usd) == pytest.approx(2.0)


def test_an_utterance_that_ends_as_offered_is_not_committed_twice():
    provider = ScriptedRealtime("bom dia")

    async def course(ear):
        await ear.hear(utterance(SECOND))
        return await ear.hear(utterance(SECOND))

    heard, _, _ = lived(course, provider)
    assert heard.transcript.text == "bom dia"


@pytest.mark.parametrize(
    ("provider", "why"),
    [
        (ScriptedRealtime(SttUnavailable("x"), "depois"), "SttUnavailable"),
        (ScriptedRealtime(SttTimeout("x"), "depois"), "SttTimeout"),
        (ScriptedRealtime("depois", opening=[SttUnavailable("x")]), "SttUnavailable"),
        (ScriptedRealtime("depois", feed_error=SttUnavailable("x")), "SttUnavailable"),
        (ScriptedRealtime(RuntimeError("a fault of ours"), "depois"), "erro_interno"),
    ],
)
def test_whatever_fails_sends_that_utterance_to_batch_and_the_next_one_is_heard_again(provider, why):
    async def course(ear):
        ear.follow(spoken(SECOND))
        first = await ear.hear(utterance(SECOND * 2))
        return first, await ear.hear(utterance(SECOND, 90_000))

    (first, second), billed, listener = lived(course, provider)
    assert (first.transcript, first.why) == (None, why)
    assert second.transcript.text == "depois"
    assert billed == pytest.approx(first.cost_usd + second.cost_usd)
    assert listener.health()["utterances"] == {why: 1, "ok": 1}


def test_what_was_fed_beyond_the_utterance_is_not_taken_for_its_text_nor_for_the_next_ones():
    provider = ScriptedRealtime("a próxima")

    async def course(ear):
        ear.follow(spoken(SECOND * 3))
        cut = await ear.hear(utterance(SECOND * 2))
        return cut, await ear.hear(utterance(SECOND, 32_000))

    (cut, following), _, _ = lived(course, provider)
    assert (cut.transcript, cut.why) == (None, "cortado")
    assert following.transcript.text == "a próxima"
    assert provider.sessions[-1].fed[0] == SECOND


def test_after_failures_in_a_row_the_provider_is_left_alone():
    provider = ScriptedRealtime(opening=[SttUnavailable("x")] * 10)

    async def course(ear):
        return [(await ear.hear(utterance(SECOND, at * 20_000))).why for at in range(5)]

    whys, _, listener = lived(course, provider)
    assert whys == ["SttUnavailable"] * 3 + ["fora_do_ar"] * 2
    assert listener.health()["degraded"]


def test_beyond_the_number_of_sessions_counters_are_recognised_as_ever():
    async def live():
        listener = listener_of(ScriptedRealtime("um", "dois"), sessions_max=1)
        first, second = listener.ear("drogaria"), listener.ear("drogaria")
        whys = [(await ear.hear(utterance(SECOND))).why for ear in (first, second)]
        await first.close()
        whys.append((await second.hear(utterance(SECOND, 50_000))).why)
        await second.close()
        return whys, listener.health()["sessions"]

    assert asyncio.run(live()) == (["ok", "lotado", "ok"], 0)


def test_a_session_that_nobody_feeds_is_closed_and_opened_again_when_somebody_speaks():
    provider = ScriptedRealtime("um", "dois")

    async def course(ear):
        await ear.hear(utterance(SECOND))
        for _ in range(100):
            if provider.sessions[0].closed:
                break
            await asyncio.sleep(0.002)
        return await ear.hear(utterance(SECOND, 50_000))

    heard, _, _ = lived(course, provider, idle_s=0.01)
    assert provider.sessions[0].closed
    assert heard.transcript.text == "dois"
    assert len(provider.sessions) == 2


def test_closing_the_ear_leaves_nobody_waiting():
    class Silent(ScriptedRealtime):
        async def open(self, keyterms, budget_s, on_partial=None):
            await asyncio.Event().wait()

    async def course(ear):
        answer = ear.hear(utterance(SECOND))
        await asyncio.sleep(0.01)
        await ear.close()
        return await answer

    heard, _, _ = lived(course, Silent())
    assert (heard.transcript, heard.why) == (None, "encerrado")


def test_a_client_beyond_its_budget_is_not_listened_to():
    async def live():
        listener = listener_of(ScriptedRealtime("um"))
        listener.may_spend = lambda client_id: False
        ear = listener.ear("drogaria")
        heard = await ear.hear(utterance(SECOND))
        await ear.close()
        return heard.why

    assert asyncio.run(live()) == "orcamento"


def test_the_words_so_far_are_known_while_somebody_speaks():
    async def course(ear):
        ear.follow(spoken(SECOND))
        for _ in range(5):
            await asyncio.sleep(0)
        while_speaking = ear.partial
        await ear.hear(utterance(SECOND))
        return while_speaking

    assert lived(course, ScriptedRealtime("estou com dor"))[0] == "estou com"


def test_credits_are_not_believed_and_silence_is_no_text():
    async def course(ear):
        heard = [await ear.hear(utterance(SECOND, at)) for at in (0, 50_000)]
        return [ear.transcription(one, 0.5) for one in heard]

    (credits_, silence), _, _ = lived(course, ScriptedRealtime("Legendas pela comunidade Amara.org", ""))
    assert (credits_.status, credits_.text, credits_.discarded) == ("vazio", "", "inventado")
    assert (silence.status, silence.provider, silence.model) == ("vazio", "elevenlabs_realtime", "tempo-real")


KEY = RealtimeSettings(api_key=SecretStr("k"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"listening": ListeningSettings(clients=("*",))}, "ELEVENLABS_API_KEY"),
        ({"elevenlabs_realtime": KEY}, "listening.clients"),
        (
            {
                "elevenlabs_realtime": KEY,
                "listening": ListeningSettings(clients=("rede",)),
                "routing": RoutingSettings(by_client={"rede": ("assemblyai",)}),
            },
            "keeps the audio of rede",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_to_do(settings, says):
    with pytest.raises(ProviderNotUsable, match=says):
        build_listener(SpeechToTextSettings(realtime="on", **settings), CountedMetrics())


def test_off_nobody_listens_and_on_only_to_the_clients_that_are_named():
    assert build_listener(SpeechToTextSettings(), CountedMetrics()) is None
    listener = listener_of(ScriptedRealtime(), clients=("rede",))
    assert listener.ear("outra") is None
    assert listener.ear("rede") is not None


def test_yaml_reads_on_and_off_as_truth_values_and_both_are_understood():
    assert SpeechToTextSettings(realtime=True).realtime == "on"
    assert SpeechToTextSettings(realtime=False).realtime == "off"
