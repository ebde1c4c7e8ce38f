"""Another pharmacy's catalogue of 300 items: loaded as it is, refused by line, its unknown names listed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from cestas.catalogue import Catalogue, CatalogueError
from cestas.check_catalogue import checked
from cestas.check_catalogue import main as check_main
from cestas.json_place import line_of, shown
from cestas.lexicon import Lexicon

ITEMS, BYTES = 300, 60_000
UNKNOWN = ("Poção da vovó", "Kit promocional leve três")
EXPLANATION = "Explicação escrita por outra farmácia, como a que o atendente lê em voz alta no balcão para o cliente."


@pytest.fixture(scope="module")
def foreign(lexicon: Lexicon) -> dict[str, Any]:
    """A cestas.json of `ITEMS` items, generic names with strengths and forms, as another pharmacy writes it."""
    chance = random.Random(60)
    names = sorted(p.name for p in lexicon.products.values() if p.suggestible and p.kind != "marca")
    picked = [*UNKNOWN, *(chance.choice(names).capitalize() for _ in range(ITEMS - len(UNKNOWN)))]
    chance.shuffle(picked)
    shelves = [(macro, micro) for macro, micros in lexicon.taxonomy.items() for micro in micros]
    file: dict[str, Any] = {"fallback_macro_default": {}, "cestas_por_macro_micro": {}}
    for number, name in enumerate(picked):
        macro, micro = shelves[number % len(shelves)]
        shelf = file["cestas_por_macro_micro"].setdefault(macro, {}).setdefault(micro, [])
        shelf.append({"sugestao": name, "explicacao": EXPLANATION, "tag": "outra", "codigo_interno": number})
    return file


def written(folder: Path, file: Any, name: str = "cestas.json", **style: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(file, **style), encoding="utf-8")
    return path


def test_sixty_kilobytes_of_a_foreign_catalogue_load_unchanged(foreign: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, foreign, indent=2)
    assert path.stat().st_size >= BYTES
    assert sum(1 for items in Catalogue.load(path).by_micro.values() for _ in items) == ITEMS


def test_a_file_saved_by_an_editor_on_windows_loads_too(foreign: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "cestas.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(foreign, indent=2).replace("\n", "\r\n").encode())
    assert Catalogue.load(path).by_micro


def test_generic_names_are_known_and_the_rest_is_listed(
    foreign: dict[str, Any], tmp_path: Path, lexicon: Lexicon, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = Catalogue.load(written(tmp_path / "drogaria-sol", foreign))
    result = checked(catalogue, lexicon)
    assert result.known_share >= 0.85
    assert set(UNKNOWN) <= set(result.unknown)
    assert check_main([str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "drogaria-sol: " in told
    assert all(f"'{name}': nobody knows what it contains" in told for name in UNKNOWN)


@pytest.mark.parametrize("style", [{"indent": 2}, {"indent": 1}, {"indent": None}], ids=["2", "1", "one line"])
def test_a_malformed_item_is_refused_with_its_line(
    foreign: dict[str, Any], tmp_path: Path, style: dict[str, Any]
) -> None:
    broken = json.loads(json.dumps(foreign))
    macro = list(broken["cestas_por_macro_micro"])[5]
    micro = next(iter(broken["cestas_por_macro_micro"][macro]))
    broken["cestas_por_macro_micro"][macro][micro][1]["sugestao"] = "   "
    path = written(tmp_path, broken, **style)
    line = next(n for n, text in enumerate(path.read_text().split("\n"), 1) if '"   "' in text)
    with pytest.raises(CatalogueError) as refused:
        Catalogue.load(path)
    assert f"cestas.json: line {line}: cestas_por_macro_micro.{macro}.{micro}[1].sugestao: must be" in str(
        refused.value
    )


def test_every_catalogue_of_a_folder_of_clients_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [{"produto": "Soro fisiológico", "indicacao": ["nariz entupido"]}]
    written(tmp_path / "boa", good, "produtos.json")
    written(tmp_path / "controlada", [{"produto": "Clonazepam 2 mg", "indicacao": ["insônia"]}], "produtos.json")
    (tmp_path / "torta").mkdir()
    (tmp_path / "torta" / "cestas.json").write_text("[", encoding="utf-8")
    assert check_main([str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "boa: 1 names, 100.0% of them known" in told
    assert "'Clonazepam 2 mg': needs a prescription" in told
    assert "torta: refused: cestas.json: line 1" in told
    assert check_main([str(tmp_path / "boa")]) == 0


def test_a_folder_without_a_catalogue_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_main([str(tmp_path)]) == 2
    assert check_main([str(tmp_path / "nowhere")]) == 2
    assert "no cestas.json or produtos.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "line"),
    [((), 1), (("b",), 4), (("b", 1), 6), (("b", 1, "c"), 6), (("nada",), 1), (("b", 9), 4), (("a", "x"), 3)],
)
def test_a_place_has_a_line_and_a_missing_one_that_of_what_is_around_it(place: Any, line: int) -> None:
    text = '{\n "z": "{}[],\\"",\n "a": 1,\n "b": [\n  0,\n  {"c": 2}\n ]\n}'
    assert line_of(text, place) == line


def test_a_place_is_written_as_people_do() -> None:
    assert [shown(place) for place in ((), ("a", "b", 0, "c"), (3, "produto"))] == ["$", "a.b[0].c", "[3].produto"]
