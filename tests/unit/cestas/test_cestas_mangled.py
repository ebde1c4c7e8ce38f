"""Names that recognition mangled are looked for among few, and found as among all; what is prepared is remembered."""

from rapidfuzz.distance import DamerauLevenshtein

from cestas.advise import prepare
from cestas.catalogue import Catalogue
from cestas.entities import extract
from cestas.lexicon import SOUNDS_APART, Lexicon
from cestas.matching import PhraseBook


def test_every_name_within_reach_of_a_sound_is_among_those_compared_with_it(lexicon: Lexicon) -> None:
    for heard in list(lexicon.sounds)[::40]:
        for mangled in (heard, heard[:-1], heard[:2] + heard[3:], f"{heard[:4]}b{heard[4:]}", f"{heard}zu"):
            alike = lexicon.sound_buckets.get((mangled[0], len(mangled)), ())
            reach = [
                key
                for key in lexicon.sounds
                if key[0] == mangled[0] and DamerauLevenshtein.distance(key, mangled) <= SOUNDS_APART
            ]
            assert reach
            assert [key for key in alike if key in set(reach)] == reach


def test_a_stutter_before_a_name_is_said_once(lexicon: Lexicon) -> None:
    assert extract("me vê um re re pelente", lexicon).articles == extract("me vê um repelente", lexicon).articles


def test_who_was_prepared_resolves_no_label_of_the_catalogue_again(catalogue: Catalogue, monkeypatch) -> None:
    fresh = Lexicon.load()
    prepare(fresh, catalogue)
    known = [fresh.resolve(item.suggestion) for item in catalogue.items()]
    monkeypatch.setattr(PhraseBook, "find", _unasked)
    assert [fresh.resolve(item.suggestion) for item in catalogue.items()] == known


def _unasked(*_: object) -> None:
    raise AssertionError("a label was looked up again")
