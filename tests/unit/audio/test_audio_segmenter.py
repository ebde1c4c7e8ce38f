"""The segmenter finds each utterance, whole, once, whatever the pieces that the stream comes in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings

RATE = 16_000
DEFAULTS = SegmenterSettings()


def run(pcm, gate_settings=DEFAULTS, chunk=8000, first_sample=0):
    segmenter = Segmenter(gate_settings, first_sample)
    found = []
    for at in range(0, len(pcm), chunk):
        found += segmenter.feed(pcm[at : at + chunk])
    return found + segmenter.flush(), segmenter


@pytest.fixture(scope="module")
def two_sentences(sounds):
    """Two sentences 1.5 s apart in a shop at 25 dB: begin at 2 s, and 1.5 s after the first's end."""
    clean = [sounds.quiet(2), sounds.speech(-25), sounds.quiet(1.5), sounds.speech(-25), sounds.quiet(1.5)]
    return sounds.pcm(sounds.over(np.concatenate(clean), -50))


def test_each_sentence_is_one_utterance_that_begins_before_and_ends_after_it(sounds, two_sentences):
    found, _ = run(two_sentences)
    starts = [2.0, 3.5 + sounds.sentence_s]
    assert [u.cut_reason for u in found] == ["silence", "silence"]
    for utterance, start_s in zip(found, starts, strict=True):
        assert start_s - 0.45 <= utterance.first_sample / RATE <= start_s - 0.2
        end_s = start_s + sounds.sentence_s
        assert abs(utterance.speech_end_sample / RATE - end_s) <= 0.1
        assert end_s <= utterance.end_sample / RATE <= end_s + 0.45


def test_the_pcm_handed_on_is_the_streams_own(two_sentences):
    for utterance in run(two_sentences)[0]:
        assert two_sentences[2 * utterance.first_sample : 2 * utterance.end_sample] == utterance.pcm


def test_the_end_is_reported_one_hangover_after_it(two_sentences):
    segmenter = Segmenter(DEFAULTS)
    for at in range(0, len(two_sentences), 960):
        for utterance in segmenter.feed(two_sentences[at : at + 960]):
            waited = segmenter.samples_fed - utterance.speech_end_sample
            assert waited == RATE * DEFAULTS.hangover_ms // 1000
            return
    pytest.fail("no utterance")


def speech_end_to_emission_ms(sounds, seconds, noise_dbfs, gate_settings=DEFAULTS):
    repeats = max(1, round(seconds / sounds.sentence_s))
    clean = np.concatenate([sounds.quiet(2), *[sounds.speech(-25)] * repeats, sounds.quiet(1.5)])
    pcm, segmenter = sounds.pcm(sounds.over(clean, noise_dbfs)), Segmenter(gate_settings)
    for at in range(0, len(pcm), 960):
        for utterance in segmenter.feed(pcm[at : at + 960]):
            return (segmenter.samples_fed - utterance.speech_end_sample) * 1000 // RATE
    raise AssertionError("no utterance")


def test_a_long_utterance_ends_earlier_and_one_in_noise_later(sounds):
    usual = speech_end_to_emission_ms(sounds, 1.4, -60)
    assert usual == DEFAULTS.hangover_ms
    assert speech_end_to_emission_ms(sounds, 5.5, -60) == usual - DEFAULTS.long_earlier_ms
    assert speech_end_to_emission_ms(sounds, 1.4, -38) == usual + DEFAULTS.noisy_later_ms


def test_endpointing_can_be_told_to_be_the_same_everywhere(sounds):
    fixed = SegmenterSettings(hangover_ms=600, long_earlier_ms=0, noisy_later_ms=0)
    cases = [(1.4, -60), (5.5, -60), (1.4, -38)]
    assert {speech_end_to_emission_ms(sounds, *case, fixed) for case in cases} == {600}


@pytest.mark.parametrize(("pause_s", "utterances"), [(0.25, 1), (0.42, 1), (0.7, 2)])
@pytest.mark.parametrize("noise_dbfs", [-70, -42])
def test_a_short_pause_does_not_split_a_sentence_and_a_long_one_does(sounds, pause_s, utterances, noise_dbfs):
    clean = [sounds.quiet(2), sounds.speech(-25), sounds.quiet(pause_s), sounds.speech(-25), sounds.quiet(1.5)]
    found, _ = run(sounds.pcm(sounds.over(np.concatenate(clean), noise_dbfs)))
    assert len(found) == utterances


def test_the_background_is_up_to_a_second_of_the_shop_without_speech(two_sentences, sounds):
    for utterance in run(two_sentences)[0]:
        background = np.frombuffer(utterance.background_pcm, "<i2") / 32768
        assert 0.9 * RATE <= len(background) <= 1.02 * RATE
        assert 20 * np.log10(background.std()) == pytest.approx(-50, abs=1.5)


def test_the_figures_tell_floor_threshold_and_loudness(two_sentences):
    for utterance in run(two_sentences)[0]:
        gate = utterance.gate
        assert gate.noise_floor_start_dbfs == pytest.approx(-50, abs=2)
        assert gate.threshold_start_dbfs == pytest.approx(gate.noise_floor_start_dbfs + DEFAULTS.margin_db)
        assert gate.frames == len(utterance.pcm) // 960
        assert 0.4 * gate.frames < gate.speech_frames < gate.frames
        assert gate.rms_mean_dbfs < gate.rms_max_dbfs < 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 20_001), min_size=1, max_size=12))
def test_the_pieces_make_no_difference_odd_ones_included(two_sentences, sizes):
    expected, _ = run(two_sentences)
    segmenter, found, at, turn = Segmenter(DEFAULTS), [], 0, 0
    while at < len(two_sentences):
        size = max(sizes[turn % len(sizes)], 301)
        found += segmenter.feed(two_sentences[at : at + size])
        at, turn = at + size, turn + 1
    assert found + segmenter.flush() == expected


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_pieces_make_no_difference_to_scraps_of_words_after_long_pauses(sounds, seed):
    rng, parts = np.random.default_rng(seed), [sounds.quiet(1)]
    for _ in range(30):
        at, frames = int(rng.integers(0, len(sounds.sentence) - 4000)), int(rng.integers(1, 9))
        parts += [sounds.speech(-25)[at : at + 480 * frames], sounds.quiet(0.03 * int(rng.integers(3, 14)))]
    pcm = sounds.pcm(sounds.over(np.concatenate(parts), -60, seed))
    expected, _ = run(pcm, chunk=960)
    assert len(expected) > 1
    for frames in (2, 3, 8):
        assert run(pcm, chunk=960 * frames)[0] == expected


def test_byte_by_byte_gives_the_same_utterance(sounds):
    pcm = sounds.pcm(sounds.over(sounds.speech(-25), -60), sounds.noise(0.8, -60))
    expected, _ = run(pcm)
    assert run(pcm, chunk=1)[0] == expected
    assert len(expected) == 1


@pytest.mark.parametrize("frames_after", range(8, 18))
def test_a_cap_that_falls_into_the_last_silence_leaves_nothing_open(sounds, frames_after):
    clean = np.concatenate([sounds.quiet(1), sounds.speech(-25), sounds.quiet(2)])
    cap_ms = 390 + int(1000 * sounds.sentence_s) + 30 * frames_after
    found, segmenter = run(sounds.pcm(sounds.over(clean, -38)), SegmenterSettings(max_utterance_ms=cap_ms), chunk=960)
    assert len(found) == 1
    assert not segmenter.speaking
    assert segmenter.safe_until > RATE * (2 + sounds.sentence_s)


@pytest.mark.parametrize(("rumbles", "least_ms", "most_ms"), [(False, 0, 0), (True, 30, 120)])
def test_an_end_that_is_due_waits_a_little_for_a_level_that_rises(sounds, rumbles, least_ms, most_ms):
    """A rumble is no speech to webrtcvad, but louder than the shop: speech may be about to begin."""
    silence = sounds.noise(1.5, -55, seed=3)
    if rumbles:
        span = slice(int(0.2 * RATE), int(0.8 * RATE))
        silence[span] += 0.006 * np.sin(2 * np.pi * 30 / RATE * np.arange(span.stop - span.start))
    noisy = np.concatenate([sounds.noise(2, -55), sounds.over(sounds.speech(-25), -55, 1), silence])
    pcm, segmenter = sounds.pcm(noisy), Segmenter(DEFAULTS)
    for at in range(0, len(pcm), 960):
        for utterance in segmenter.feed(pcm[at : at + 960]):
            waited_ms = (segmenter.samples_fed - utterance.speech_end_sample) * 1000 // RATE
            assert least_ms <= waited_ms - DEFAULTS.hangover_ms <= most_ms
            return
    pytest.fail("no utterance")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cap_ms=st.integers(1000, 5000), chunk=st.integers(900, 30_000), level=st.integers(-45, -15))
def test_at_the_cap_no_sample_is_lost_and_none_comes_twice(sounds, cap_ms, chunk, level):
    talk = [sounds.speech(level)] * 6
    pcm = sounds.pcm(sounds.quiet(1), *talk, sounds.quiet(1))
    found, _ = run(pcm, SegmenterSettings(max_utterance_ms=cap_ms), chunk)
    assert all(u.duration_s <= cap_ms / 1000 + 0.03 for u in found)
    assert {u.cut_reason for u in found[:-1]} <= {"cap"}
    for before, after in pairwise(found):
        assert after.first_sample == before.end_sample
    joined = b"".join(u.pcm for u in found)
    assert pcm[2 * found[0].first_sample : 2 * found[-1].end_sample] == joined
    assert found[0].first_sample <= RATE <= RATE + 6 * len(sounds.sentence) - RATE // 10 <= found[-1].end_sample


def test_a_cap_cuts_at_the_quietest_place(sounds):
    gap = sounds.quiet(0.15)
    pcm = sounds.pcm(sounds.quiet(1), sounds.speech(-20), gap, *[sounds.speech(-20)] * 2)
    gap_middle_s = 1 + sounds.sentence_s + 0.075
    cap_ms = int(1000 * (gap_middle_s + 0.6 - 0.61))
    found, _ = run(pcm, SegmenterSettings(max_utterance_ms=cap_ms))
    assert found[0].cut_reason == "cap"
    around = np.frombuffer(pcm[2 * found[0].end_sample - 400 : 2 * found[0].end_sample + 400], "<i2")
    assert abs(found[0].end_sample / RATE - gap_middle_s) < 0.1
    assert np.abs(around).max() < 400


def test_silence_after_a_cut_is_no_utterance(sounds):
    speech = sounds.speech(-20)
    cap_ms = 1000 + int(1000 * sounds.sentence_s)
    gate_settings = SegmenterSettings(max_utterance_ms=cap_ms, hangover_ms=2500, pre_roll_ms=90)
    found, _ = run(sounds.pcm(sounds.quiet(1), speech, sounds.quiet(4)), gate_settings)
    assert [u.cut_reason for u in found] == ["cap"]


def test_speech_at_the_end_of_the_stream_is_handed_on_to_the_last_sample(sounds):
    pcm = sounds.pcm(sounds.quiet(1.003), sounds.speech(-20))
    found, segmenter = run(pcm)
    assert [u.cut_reason for u in found] == ["end"]
    assert found[0].end_sample == len(pcm) // 2 == segmenter.samples_fed
    assert pcm.endswith(found[0].pcm)


def test_a_stream_that_ends_in_silence_ends_with_the_tail_only(sounds):
    pcm = sounds.pcm(sounds.quiet(1), sounds.speech(-20), sounds.quiet(0.4))
    (utterance,), _ = run(pcm)
    assert utterance.cut_reason == "end"
    assert utterance.end_sample - utterance.speech_end_sample == RATE * DEFAULTS.tail_ms // 1000


def test_what_is_fed_after_a_flush_goes_on_where_it_was(sounds):
    segmenter = Segmenter(DEFAULTS)
    pcm = sounds.pcm(sounds.quiet(1), sounds.speech(-20))[:-311]
    segmenter.feed(pcm)
    segmenter.flush()
    fed = segmenter.samples_fed
    assert fed == len(pcm) // 2 == segmenter.safe_until
    found = segmenter.feed(sounds.pcm(sounds.quiet(1), sounds.speech(-20), sounds.quiet(1)))
    assert len(found) == 1
    assert found[0].first_sample > fed


def test_a_resumed_session_counts_on(two_sentences):
    fresh, _ = run(two_sentences)
    resumed, segmenter = run(two_sentences, first_sample=123_457)
    assert [u.first_sample for u in resumed] == [u.first_sample + 123_457 for u in fresh]
    assert segmenter.samples_fed == 123_457 + len(two_sentences) // 2


def test_what_is_safe_to_forget_is_never_in_a_later_utterance_and_never_goes_back(two_sentences):
    segmenter, safe = Segmenter(DEFAULTS), 0
    for at in range(0, len(two_sentences), 1000):
        before = segmenter.safe_until
        for utterance in segmenter.feed(two_sentences[at : at + 1000]):
            assert utterance.first_sample >= before
        assert safe <= before <= segmenter.safe_until <= segmenter.samples_fed
        safe = before
    assert safe > len(two_sentences) // 2 - RATE


def test_speaking_tells_when_somebody_speaks(sounds):
    segmenter = Segmenter(DEFAULTS)
    segmenter.feed(sounds.pcm(sounds.quiet(1)))
    assert not segmenter.speaking
    segmenter.feed(sounds.pcm(sounds.speech(-25)))
    assert segmenter.speaking
    segmenter.feed(sounds.pcm(sounds.quiet(1)))
    assert not segmenter.speaking


def test_a_click_is_no_utterance(sounds):
    click = sounds.noise(0.02, -10)
    found, _ = run(sounds.pcm(sounds.noise(1, -55), click, sounds.noise(1, -55, seed=1)))
    assert found == []


def test_speech_shorter_than_the_shortest_utterance_is_counted_and_dropped(sounds):
    syllable = sounds.speech(-20)[: int(0.25 * RATE)]
    pcm = sounds.pcm(sounds.quiet(1), syllable, sounds.quiet(1))
    kept, _ = run(pcm)
    dropped, segmenter = run(pcm, SegmenterSettings(min_utterance_ms=600))
    assert (len(kept), len(dropped), segmenter.dropped_short) == (1, 0, 1)


def test_memory_does_not_grow_while_nobody_speaks(sounds):
    segmenter = Segmenter(DEFAULTS)
    minute = sounds.pcm(sounds.noise(10, -50))
    sizes = []
    for _ in range(4):
        segmenter.feed(minute)
        sizes.append(len(segmenter._ring))
    assert max(sizes) <= 2000 // 30


def test_a_session_without_pre_roll_or_tail_still_hands_on_all_speech(sounds):
    gate_settings = SegmenterSettings(pre_roll_ms=0, tail_ms=0, background_ms=0)
    (utterance,), _ = run(sounds.pcm(sounds.quiet(1), sounds.speech(-25), sounds.quiet(1)), gate_settings)
    assert utterance.first_sample / RATE == pytest.approx(1, abs=0.1)
    assert utterance.end_sample == utterance.speech_end_sample
    assert utterance.background_pcm == b""


def offers_and_utterances(pcm, chunk):
    segmenter, offers, utterances = Segmenter(DEFAULTS), [], []
    for at in range(0, len(pcm), chunk):
        utterances += segmenter.feed(pcm[at : at + chunk])
        offer = segmenter.offer()
        offers += [] if offer is None else [offer]
    return offers, utterances


def test_what_is_offered_in_the_pause_is_what_ends_there(two_sentences):
    offers, utterances = offers_and_utterances(two_sentences, 960)
    finals = {(u.first_sample, u.end_sample): u.pcm for u in utterances}
    offered = {(o.first_sample, o.end_sample): o.pcm for o in offers}
    assert len(finals) == 2
    assert finals.items() <= offered.items()


def test_each_silence_is_offered_once_and_speech_that_goes_on_makes_another_offer(sounds):
    pause = sounds.quiet(0.4 - 0.05)
    pcm = sounds.pcm(sounds.quiet(1), sounds.speech(-20), pause, sounds.speech(-20), sounds.quiet(1))
    offers, utterances = offers_and_utterances(pcm, 960)
    (utterance,) = utterances
    spans = [(offer.first_sample, offer.end_sample) for offer in offers]
    assert len(spans) == len(set(spans)) >= 2
    assert spans[-1] == (utterance.first_sample, utterance.end_sample)


def test_silence_and_too_short_a_sound_are_not_offered(sounds):
    blip = np.concatenate([sounds.speech(-20)[4000:6000]])
    offers, utterances = offers_and_utterances(sounds.pcm(sounds.quiet(1), blip, sounds.quiet(1)), 960)
    assert (offers, utterances) == ([], [])


@pytest.mark.parametrize("chunk", [960, 8000, 1921])
@pytest.mark.parametrize("cap_ms", [3000, 8000])
def test_what_is_certain_while_somebody_speaks_is_the_beginning_of_what_is_handed_on(sounds, cap_ms, chunk):
    pcm = sounds.pcm(sounds.quiet(1), *[sounds.speech(-20), sounds.quiet(0.3)] * 4, sounds.quiet(2), sounds.speech(-24))
    pcm += sounds.pcm(sounds.quiet(2))
    segmenter = Segmenter(DEFAULTS.model_copy(update={"max_utterance_ms": cap_ms}))
    certain, finals = {}, {}
    for at in range(0, len(pcm), chunk):
        finals |= {u.first_sample: u.pcm for u in segmenter.feed(pcm[at : at + chunk])}
        first, known = 0, b""
        found = segmenter.certain_from(0)
        if found is not None:
            first, _ = found
            known = certain.get(first, b"")
            certain[first] = known + (segmenter.certain_from(first + len(known) // 2) or found)[1]
    assert certain
    assert certain.keys() <= finals.keys()
    for first, known in certain.items():
        assert finals[first].startswith(known)
        assert len(known) >= len(finals[first]) - 2 * 16 * (1200 + 250) - 2 * chunk


def test_nothing_is_certain_while_nobody_speaks_or_before_it_is_long_enough_to_count(sounds):
    segmenter = Segmenter(DEFAULTS)
    segmenter.feed(sounds.pcm(sounds.quiet(1)))
    assert segmenter.certain_from(0) is None
    assert segmenter.samples_fed > 0


def news_of(pcm, piece_bytes, *, patient, offers=True):
    """What comes of a stream in pieces, and after how many samples; and how often was looked."""
    segmenter, gathered, patience, news, looks = Segmenter(DEFAULTS), b"", 0, [], 0
    for at in range(0, len(pcm), piece_bytes):
        gathered += pcm[at : at + piece_bytes]
        if patient and len(gathered) < patience:
            continue
        ended, gathered, looks = segmenter.feed(gathered), b"", looks + 1
        fed = segmenter.samples_fed
        news += [(fed, "ended", one.first_sample, one.pcm) for one in ended]
        offered = segmenter.offer() if offers else None
        if offered is not None:
            news.append((fed, "offered", offered.first_sample, offered.pcm))
        patience = 2 * segmenter.patience_samples(offers=offers)
    return news, looks


@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("piece_bytes", [320, 1001, 1920, 8000, 40_000])
def test_who_lets_pieces_gather_as_long_as_told_to_learns_everything_as_early(two_sentences, piece_bytes, offers):
    at_once, looked = news_of(two_sentences, piece_bytes, patient=False, offers=offers)
    in_time, looked_less = news_of(two_sentences, piece_bytes, patient=True, offers=offers)
    assert in_time == at_once
    assert [kind for _, kind, *_ in at_once].count("ended") == 2
    assert looked_less <= looked


def test_in_pieces_of_60_ms_three_looks_of_four_are_spared(two_sentences):
    _, looked = news_of(two_sentences, 1920, patient=False)
    _, looked_less = news_of(two_sentences, 1920, patient=True)
    assert looked_less < looked / 2
    _, looked_least = news_of(two_sentences, 1920, patient=True, offers=False)
    assert looked_least < looked_less * 2 / 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.tuples(st.floats(0.05, 1.2), st.floats(0.03, 1.0)), min_size=1, max_size=6),
    piece_bytes=st.integers(200, 12_000),
    offers=st.booleans(),
)
def test_gathering_changes_nothing_whatever_is_said(sounds, parts, piece_bytes, offers):
    clean = [sounds.quiet(1.6)]
    for said_s, pause_s in parts:
        clean += [sounds.speech(-25)[: int(said_s * RATE)], sounds.quiet(pause_s)]
    pcm = sounds.pcm(sounds.over(np.concatenate([*clean, sounds.quiet(1)]), -52))
    at_once, _ = news_of(pcm, piece_bytes, patient=False, offers=offers)
    in_time, _ = news_of(pcm, piece_bytes, patient=True, offers=offers)
    assert in_time == at_once
