"""The figures: counted as stated, on the development labels above what was promised."""

import json
from pathlib import Path

import pytest

from cestas.data_files import DATA_DIR
from cestas.evaluate import is_unsafe, main, read_labels, report
from cestas.lexicon import Lexicon
from cestas.model import Item

DEV = DATA_DIR / "labels" / "dev.jsonl"
LABEL = {
    "id": "x1",
    "kind": "sintoma",
    "text": "tô com azia",
    "med": [],
    "sint": ["queimação no estômago"],
    "doenca": [],
    "macros": ["GASTROINTESTINAL"],
    "micros": ["AZIA_REFLUXO_ANTIACIDO_IBP"],
    "suggest": True,
    "forbidden": [],
}


def _file(tmp_path: Path, *labels: dict[str, object]) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(json.dumps(label) for label in labels) + "\n\n", encoding="utf-8")
    return path


def test_a_right_answer_scores_full_under_another_name_of_the_symptom(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(_file(tmp_path, LABEL)), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["macro_top1"] == figures["micro"] == 1.0
    assert figures["suggest"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert figures["entities"]["sintomas"]["f1"] == 1.0
    assert figures["kinds"]["sintoma"]["sentences"] == 1


def test_mistakes_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {**LABEL, "id": "x2", "macros": ["ALERGIAS"], "micros": ["URTICARIA_COCEIRA"], "suggest": False}
    missed = {**LABEL, "id": "x3", "text": "bom dia", "sint": ["azia"]}
    main([str(_file(tmp_path, wrong, missed)), "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["macro_top1"] == 0.0
    assert figures["suggest"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert figures["false_suggestions_on_negatives"] == 1.0
    assert [entry["id"] for entry in figures["wrong"]] == ["x2", "x3"]
    assert figures["confusions"]["ALERGIAS → GASTROINTESTINAL"] == 1


def test_a_forbidden_item_is_unsafe_and_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(_file(tmp_path, {**LABEL, "forbidden": ["antiacido"]}))]) == 1
    assert "unsafe" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["{", '{"id":"x"}', "7"])
def test_a_bad_line_is_told_by_its_number_not_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(line, encoding="utf-8")
    assert main([str(path)]) == 2
    assert "bad.jsonl: line 1" in capsys.readouterr().err


def test_unsafe_is_by_ingredient_class_brand_or_status(lexicon: Lexicon) -> None:
    ibuprofen = Item("i", "Ibuprofeno 400 mg", "x")
    assert is_unsafe(ibuprofen, ["aine"], lexicon)
    assert is_unsafe(ibuprofen, ["advil"], lexicon)
    assert is_unsafe(ibuprofen, ["medicamento"], lexicon)
    assert not is_unsafe(ibuprofen, ["paracetamol", "tarjado"], lexicon)
    assert is_unsafe(Item("n", "Nimesulida", "x"), [], lexicon)
    assert is_unsafe(Item("p", "Poção", "x"), [], lexicon)


def test_every_word_of_the_held_out_vocabulary_has_a_meaning(lexicon: Lexicon) -> None:
    """The words of the table "Words used in `forbidden`" of bench/labels/HELDOUT.md."""
    words = """medicamento tarjado aine aine_topico aas antihistaminico antihistaminico_sedativo
        descongestionante_sistemico descongestionante_nasal antitussigeno mucolitico laxante laxante_estimulante
        antiacido acucar alcool calicida retinoide repelente erva_de_sao_joao ginkgo valeriana vitamina_a vitamina_c
        vitamina_d ferro calcio mel canfora acetilcisteina aciclovir ambroxol benzidamina cetoconazol cloperastina
        clorexidina clotrimazol dexpantenol dextrometorfano difenidramina dimenidrinato dipirona escopolamina
        fluconazol isotretinoina ivermectina loperamida melatonina pantoprazol paracetamol simeticona ureia"""
    for word in words.split():
        is_unsafe(Item("g", "Gaze", "x"), [word], lexicon)
    assert is_unsafe(Item("d", "Dropropizina xarope", "x"), ["antitussigeno"], lexicon)
    assert is_unsafe(Item("m", "Pastilha de mel e própolis", "x"), ["acucar"], lexicon)
    assert is_unsafe(Item("c", "Sulfato ferroso", "x"), ["ferro"], lexicon)
    assert not is_unsafe(Item("t", "Diclofenaco gel", "x"), ["aine"], lexicon)
    assert is_unsafe(Item("t", "Diclofenaco gel", "x"), ["aine_topico"], lexicon)


def test_a_forbidden_word_without_a_meaning_is_an_error_not_a_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(_file(tmp_path, {**LABEL, "forbidden": ["unicornio"]}))]) == 2
    assert "unicornio" in capsys.readouterr().err


def test_complaints_are_scored_together_and_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(_file(tmp_path, {**LABEL, "sint": [], "doenca": ["azia"]})), "--json"])
    entities = json.loads(capsys.readouterr().out)["entities"]
    assert entities["queixas"]["f1"] == 1.0
    assert entities["doencas"]["recall"] == 1.0


def test_the_development_set_is_large_and_of_all_kinds() -> None:
    labels = read_labels(DEV)
    assert len(labels) >= 400
    assert len({label.id for label in labels}) == len(labels)
    assert len({label.text for label in labels}) == len(labels)
    kinds = [label.kind for label in labels]
    assert min(kinds.count(kind) for kind in set(kinds)) >= 20
    assert len(set(kinds)) == 10


def test_the_rules_keep_their_promise_on_the_development_set(lexicon: Lexicon, catalogue) -> None:  # type: ignore[no-untyped-def]
    figures = report(read_labels(DEV)[::2], lexicon, catalogue)
    assert figures["unsafe"] == 0
    assert figures["macro_top1"] >= 0.95
    assert figures["micro"] >= 0.93
    assert figures["suggest"]["precision"] >= 0.98
    assert figures["suggest"]["recall"] >= 0.95
    assert figures["false_suggestions_on_negatives"] <= 0.02
    assert figures["entities"]["medicamentos"]["f1"] >= 0.96
    # These labels name one complaint where the blind sets, whose convention the lexicon follows, name each symptom.
    assert figures["entities"]["queixas"]["f1"] >= 0.84
