"""A pharmacy's own files: loaded unchanged, refused with place and reason, and checked for mistakes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cestas import check as check_command
from cestas.catalogue import Catalogue, CatalogueError
from cestas.data_files import DATA_DIR, DataError
from cestas.lexicon import Lexicon
from cestas.schemas import FILES, violations, write_schemas

ITEM = {"sugestao": "Simeticona 125 mg", "explicacao": "Alivia os gases."}
GOOD = {"fallback_macro_default": {"ALERGIAS": [ITEM]}, "cestas_por_macro_micro": {}}


def _write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_a_file_of_the_documented_format_loads_unchanged(tmp_path: Path) -> None:
    file = {
        "fallback_macro_default": {"ALERGIAS": [{**ITEM, "tag": "gases", "preco": 9.9}]},
        "cestas_por_macro_micro": {"GASTROINTESTINAL": {"GASES_SIMETICONA": [ITEM]}},
    }
    products = [{"produto": "Luftal 125", "indicacao": ["Gases", "barriga estufada"]}]
    catalogue = Catalogue.load(_write(tmp_path / "cestas.json", file), _write(tmp_path / "produtos.json", products))
    assert catalogue.by_micro["GASTROINTESTINAL", "GASES_SIMETICONA"][0].suggestion == "Simeticona 125 mg"
    assert catalogue.by_macro["ALERGIAS"][0].tag == "gases"
    assert catalogue.for_indication(["gases"])[0].suggestion == "Luftal 125"
    assert catalogue.for_indication(["azia"]) == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "line 1 column 2"),
        ([], "$: must be an object"),
        ({"fallback_macro_default": {}}, "cestas_por_macro_micro: must be present"),
        ({"fallback_macro_default": [], "cestas_por_macro_micro": {}}, "fallback_macro_default: must be an object"),
        ({**GOOD, "fallback_macro_default": {"NADA": []}}, "fallback_macro_default.NADA: must be a macro category"),
        ({**GOOD, "cestas_por_macro_micro": {"ALERGIAS": []}}, "cestas_por_macro_micro.ALERGIAS: must be an object"),
        (
            {**GOOD, "cestas_por_macro_micro": {"ALERGIAS": {"GASES_SIMETICONA": []}}},
            "ALERGIAS.GASES_SIMETICONA: must be a micro category",
        ),
        ({**GOOD, "fallback_macro_default": {"ALERGIAS": {}}}, "ALERGIAS: must be a list"),
        ({**GOOD, "fallback_macro_default": {"ALERGIAS": ["x"]}}, "ALERGIAS[0]: must be an object"),
        (
            {**GOOD, "fallback_macro_default": {"ALERGIAS": [ITEM, {"sugestao": " ", "explicacao": "y"}]}},
            "ALERGIAS[1].sugestao: must be a non-empty string",
        ),
        (
            {**GOOD, "fallback_macro_default": {"ALERGIAS": [{**ITEM, "tag": 7}]}},
            "ALERGIAS[0].tag: must be a string",
        ),
    ],
)
def test_a_malformed_baskets_file_is_refused_with_place_and_reason(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        Catalogue.load(_write(tmp_path / "minhas.json", content))
    assert told in str(refused.value)
    assert "minhas.json" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "$: must be a list"),
        ([7], "[0]: must be an object"),
        ([{"produto": "Luftal", "indicacao": []}], "[0].indicacao: must be a list of one or more"),
        ([{"produto": "Luftal", "indicacao": "gases"}], "[0].indicacao: must be a list of one or more"),
        ([{"indicacao": ["gases"]}], "[0].produto: must be a non-empty string"),
    ],
)
def test_a_malformed_products_file_is_refused_with_place_and_reason(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        Catalogue.load(produtos_path=_write(tmp_path / "produtos.json", content))
    assert told in str(refused.value)


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        Catalogue.load(tmp_path / "nowhere.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogueError, match="not UTF-8"):
        Catalogue.load(tmp_path / "bytes.json")


def test_the_shipped_knowledge_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command.main([]) == 0
    assert capsys.readouterr().out == "sound\n"


def test_the_check_lists_items_that_would_never_be_suggested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [ITEM, ITEM, {"sugestao": "Nimesulida", "explicacao": "x"}, {"sugestao": "Poção", "explicacao": "x"}]
    path = _write(tmp_path / "cestas.json", {**GOOD, "fallback_macro_default": {"ALERGIAS": items}})
    assert check_command.main(["--cestas", str(path)]) == 1
    told = capsys.readouterr().out
    assert "'Simeticona 125 mg' is there twice" in told
    assert "nimesulida is tarja_vermelha" in told
    assert "'Poção' is never suggested: G-DESCONHECIDO" in told
    assert "3 problem(s)" in told


def test_the_check_tells_a_malformed_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command.main(["--cestas", str(_write(tmp_path / "cestas.json", "["))]) == 1
    assert "cestas.json: line 1" in capsys.readouterr().out


def _edited(tmp_path: Path, *changes: tuple[str, Any]) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(DATA_DIR, copy, ignore=shutil.ignore_patterns("schemas", "labels"))
    for name, change in changes:
        value = json.loads((copy / name).read_text(encoding="utf-8"))
        change(value)
        (copy / name).write_text(json.dumps(value), encoding="utf-8")
    return copy


def test_the_check_finds_labels_references_and_duplicates_that_are_wrong(tmp_path: Path) -> None:
    copy = _edited(
        tmp_path,
        ("classes.json", lambda v: v["classes"][0].update(categoria="NADA/NADA")),
        ("situations.json", lambda v: v["por_doenca"].update(nada="x")),
        ("body.json", lambda v: v["sintomas"][0].update(nome="nenhum")),
        ("symptoms.json", lambda v: v["sintomas"].append(v["sintomas"][0])),
        ("symptoms.json", lambda v: v["sintomas"][1]["falas"].append("soltura")),
        ("safety.json", lambda v: v["regras"].append(v["regras"][0])),
        ("safety.json", lambda v: v["regras"][1]["bloqueia"].update(classes=["classe que nao ha"])),
        ("safety.json", lambda v: v["regras"][2]["bloqueia"].update(exceto=["coisa que nao ha"])),
        ("safety.json", lambda v: v["regras"][3]["quando"].update(queixas=["queixa que nao ha"])),
        (
            "safety.json",
            lambda v: v["bandeiras"][0]["combinacoes"].append({"queixas": ["mal que nao ha"], "situacoes": []}),
        ),
    )
    found = "\n".join(check_command.problems(data=copy))
    for told in (
        "NADA/NADA is not a category",
        "por_doenca.nada: is not a complaint",
        "nenhum is not a complaint",
        "symptoms.json: dor de cabeca: defined twice",
        "'soltura' already stands for enxaqueca",
        "safety.json: S-GEST-AINE: defined twice",
        "classe que nao ha is not a class",
        "coisa que nao ha is not an ingredient",
        "queixa que nao ha is not a complaint",
        "mal que nao ha is not a complaint",
    ):
        assert told in found


def test_the_check_finds_records_of_another_shape(tmp_path: Path) -> None:
    copy = _edited(
        tmp_path,
        ("medicines.json", lambda v: v["marcas"][0].update(dispensacao="livre")),
        ("articles.json", lambda v: v["artigos"][0].update(extra=1)),
    )
    found = "\n".join(check_command.problems(data=copy))
    assert "medicines.json: marcas.0.dispensacao" in found
    assert "articles.json: artigos.0.extra" in found


def test_a_brand_of_an_ingredient_that_is_not_there_is_found(tmp_path: Path) -> None:
    copy = _edited(tmp_path, ("medicines.json", lambda v: v["marcas"][0].update(ingredientes=["nada"])))
    assert "a record lacks or mistypes 'nada'" in "\n".join(check_command.problems(data=copy))


def test_a_category_without_a_basket_is_found(tmp_path: Path, lexicon: Lexicon) -> None:
    found = list(check_command._completeness(Catalogue({}, {}, (), {}), lexicon))
    assert len(found) == len(lexicon.taxonomy) + sum(map(len, lexicon.taxonomy.values()))


def test_a_lexicon_with_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"taxonomy\.json"):
        Lexicon.load(tmp_path)


def test_every_file_has_its_schema_and_the_schemas_are_current(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    for name in FILES:
        current = (tmp_path / f"{name}.schema.json").read_text(encoding="utf-8")
        assert current == (DATA_DIR / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"), name
    assert list(violations()) == []


def test_the_knowledge_is_as_large_as_promised(lexicon: Lexicon, catalogue: Catalogue) -> None:
    kinds = [product.kind for product in lexicon.products.values()]
    assert kinds.count("ingrediente") >= 350
    assert kinds.count("marca") >= 500
    assert sum(c.kind in ("sintoma", "doenca") for c in lexicon.complaints.values()) >= 180
    assert len(catalogue.products) >= 60


@pytest.mark.parametrize(
    ("name", "ingredients"),
    [
        ("dorflex", {"dipirona", "orfenadrina", "cafeina"}),
        ("torsilax", {"diclofenaco", "paracetamol", "carisoprodol", "cafeina"}),
        ("cimegripe", {"paracetamol", "clorfeniramina", "fenilefrina"}),
    ],
)
def test_a_combination_resolves_to_all_its_ingredients(lexicon: Lexicon, name: str, ingredients: set[str]) -> None:
    product = lexicon.product(name)
    assert product is not None
    assert set(product.ingredients) == ingredients
    assert product.is_medicine


FOREIGN = Path(__file__).parents[2] / "data" / "foreign_cestas.json"


def test_a_foreign_catalogue_of_generic_names_is_mostly_known_and_the_rest_is_listed(lexicon: Lexicon) -> None:
    """Three hundred items as another pharmacy would call them, not as ours does."""
    catalogue = Catalogue.load(FOREIGN)
    items = [item for group in (*catalogue.by_micro.values(), *catalogue.by_macro.values()) for item in group]
    assert len(items) >= 300
    unknown = {item.suggestion for item in items if not lexicon.resolve(item.suggestion)}
    assert sum(item.suggestion not in unknown for item in items) / len(items) >= 0.85
    listed = "\n".join(check_command.problems(FOREIGN))
    assert all(f"'{name}' is never suggested" in listed for name in unknown)


@pytest.mark.parametrize(
    ("label", "inside"),
    [
        ("Analgésico com cafeína", {"cafeina", "paracetamol", "acido acetilsalicilico"}),
        ("Xarope para tosse seca", {"dropropizina", "dextrometorfano"}),
        ("Antiácido mastigável", {"hidroxido de magnesio"}),
    ],
)
def test_a_kind_of_product_stands_for_all_that_it_may_be(lexicon: Lexicon, label: str, inside: set[str]) -> None:
    assert inside <= lexicon.resolve(label)
