"""Each client's own catalogue: loaded on demand, taken up when it changes, refused when malformed, never unbounded."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from recommender_fakes import FakeAdvisor, FakeClock, FakeMetrics

from cestas.catalogue import Catalogue, CatalogueError
from cestas.lexicon import Lexicon
from cestas.model import Entities
from deployments.recommender.catalogues import Catalogues
from deployments.recommender.port import AdviceRequest, Understanding
from deployments.recommender.settings import CataloguesSettings, RecommenderSettings
from deployments.recommender.stage import Recommender

GASES = ("GASTROINTESTINAL", "GASES_SIMETICONA")
EVERY_S = 3.0


def cestas(*names: str) -> str:
    items = [{"sugestao": name, "explicacao": "Ajuda."} for name in names]
    macro, micro = GASES
    return json.dumps({"fallback_macro_default": {}, "cestas_por_macro_micro": {macro: {micro: items}}}, indent=1)


class Shop:
    """A folder of catalogues, the clock, and what serves from it."""

    def __init__(self, folder: Path, lexicon: Lexicon, **kind: Any) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.metrics = FakeMetrics()
        settings = CataloguesSettings(dir=folder, check_every_s=EVERY_S, **kind)
        self.catalogues = Catalogues(settings, lexicon, metrics=self.metrics, clock=self.clock)

    def write(self, client: str, text: str, name: str = "cestas.json") -> None:
        (self.folder / client).mkdir(exist_ok=True)
        (self.folder / client / name).write_text(text, encoding="utf-8")

    async def names(self, client: str) -> list[str]:
        catalogue = await self.catalogues.of(client)
        return [item.suggestion for item in catalogue.by_micro[GASES]]

    async def later(self, client: str) -> list[str]:
        """What is served once the files have been looked at again."""
        self.clock.now_s += EVERY_S
        await self.names(client)
        await self.catalogues.close()
        return await self.names(client)


@pytest.fixture
def shop(tmp_path: Path, lexicon: Lexicon) -> Shop:
    return Shop(tmp_path, lexicon)


SHIPPED = [item.suggestion for item in Catalogue.load().by_micro[GASES]]


async def test_a_client_is_served_from_its_own_catalogue_and_others_from_the_common_one(shop: Shop) -> None:
    shop.write("drogaria-sol", cestas("Luftal gotas"))
    assert await shop.names("drogaria-sol") == ["Luftal gotas"]
    assert await shop.names("farmacia-lua") == SHIPPED
    assert await shop.names("") == SHIPPED


async def test_a_changed_file_is_taken_up_without_a_restart(shop: Shop) -> None:
    shop.write("drogaria-sol", cestas("Luftal gotas"))
    await shop.names("drogaria-sol")
    shop.write("drogaria-sol", cestas("Simeticona 125 mg", "Chá de erva-doce"))
    assert await shop.later("drogaria-sol") == ["Simeticona 125 mg", "Chá de erva-doce"]
    assert ("catalogue_loads_total", 1.0, {"result": "ok"}) in shop.metrics.counts


async def test_files_are_not_looked_at_at_every_question(shop: Shop) -> None:
    shop.write("drogaria-sol", cestas("Luftal gotas"))
    await shop.names("drogaria-sol")
    shop.write("drogaria-sol", cestas("Simeticona 125 mg"))
    shop.clock.now_s += EVERY_S - 0.1
    await shop.names("drogaria-sol")
    await shop.catalogues.close()
    assert await shop.names("drogaria-sol") == ["Luftal gotas"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"cestas_por_macro_micro": ', "line 1"),
        (cestas("Luftal", "Luftal").replace('"Ajuda."', '""', 1), "line 8: cestas_por_macro_micro"),
        ("[" * 100_000, "nested"),
    ],
    ids=["not JSON", "an empty explanation", "nested without end"],
)
async def test_a_malformed_version_is_refused_with_the_line_and_the_last_good_one_serves(
    shop: Shop, text: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    shop.write("drogaria-sol", cestas("Luftal gotas"))
    await shop.names("drogaria-sol")
    shop.write("drogaria-sol", text)
    assert await shop.later("drogaria-sol") == ["Luftal gotas"]
    assert told in shop.catalogues.health()["recusados"]["drogaria-sol"]
    assert "catalogue_refused client=drogaria-sol" in caplog.text
    assert ("catalogue_loads_total", 1.0, {"result": "refused"}) in shop.metrics.counts
    shop.write("drogaria-sol", cestas("Simeticona 125 mg"))
    assert await shop.later("drogaria-sol") == ["Simeticona 125 mg"]
    assert shop.catalogues.health() == {"proprios": 1, "recusados": {}}


async def test_a_refused_version_is_told_once_not_at_every_look(shop: Shop) -> None:
    shop.write("drogaria-sol", "{")
    for _ in range(3):
        await shop.later("drogaria-sol")
    assert [count for count in shop.metrics.counts if count[2] == {"result": "refused"}] == [
        ("catalogue_loads_total", 1.0, {"result": "refused"})
    ]


async def test_a_catalogue_that_was_never_good_leaves_its_client_the_common_one(shop: Shop) -> None:
    shop.write("drogaria-sol", "{")
    assert await shop.names("drogaria-sol") == SHIPPED
    assert "drogaria-sol" in shop.catalogues.health()["recusados"]


async def test_a_folder_that_appears_or_disappears_counts_from_then_on(shop: Shop) -> None:
    assert await shop.names("drogaria-sol") == SHIPPED
    shop.write("drogaria-sol", cestas("Luftal gotas"))
    assert await shop.later("drogaria-sol") == ["Luftal gotas"]
    (shop.folder / "drogaria-sol" / "cestas.json").unlink()
    assert await shop.later("drogaria-sol") == SHIPPED


async def test_a_client_may_bring_products_alone(shop: Shop) -> None:
    shop.write("drogaria-sol", json.dumps([{"produto": "Luftal 125", "indicacao": ["gases"]}]), "produtos.json")
    catalogue = await shop.catalogues.of("drogaria-sol")
    assert [item.suggestion for item in catalogue.for_indication(["gases"])] == ["Luftal 125"]
    assert [item.suggestion for item in catalogue.by_micro[GASES]] == SHIPPED


@pytest.mark.parametrize("client", ["..", "../outra", "a/b", "/etc", "", "x" * 500, "drogaria sol"])
async def test_a_clients_name_never_leads_out_of_the_folder(tmp_path: Path, lexicon: Lexicon, client: str) -> None:
    inside = tmp_path / "catalogues"
    inside.mkdir()
    shop = Shop(inside, lexicon)
    (tmp_path / "cestas.json").write_text(cestas("Luftal gotas"), encoding="utf-8")
    assert await shop.names(client) == SHIPPED


async def test_only_so_many_catalogues_are_kept(tmp_path: Path, lexicon: Lexicon) -> None:
    shop = Shop(tmp_path, lexicon, loaded_max=2)
    for number in range(5):
        shop.write(f"loja-{number}", cestas(f"Luftal {number}"))
        assert await shop.names(f"loja-{number}") == [f"Luftal {number}"]
    assert shop.catalogues.health()["proprios"] == 2
    assert await shop.names("loja-0") == ["Luftal 0"]


async def test_a_file_too_large_is_refused_unread(tmp_path: Path, lexicon: Lexicon) -> None:
    shop = Shop(tmp_path, lexicon, file_bytes_max=1000)
    shop.write("drogaria-sol", cestas(*(f"Luftal {number}" for number in range(100))))
    assert await shop.names("drogaria-sol") == SHIPPED
    assert "file_bytes_max" in shop.catalogues.health()["recusados"]["drogaria-sol"]


async def test_the_common_catalogue_is_reloaded_too_but_must_be_good_at_the_start(
    tmp_path: Path, lexicon: Lexicon
) -> None:
    path, clock = tmp_path / "minhas.json", FakeClock()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CatalogueError, match="line 1"):
        Catalogues(CataloguesSettings(), lexicon, path)
    path.write_text(cestas("Luftal gotas"), encoding="utf-8")
    shared = Catalogues(CataloguesSettings(check_every_s=EVERY_S), lexicon, path, clock=clock)
    for text, served in (("{", "Luftal gotas"), (cestas("Simeticona 125 mg"), "Simeticona 125 mg")):
        path.write_text(text, encoding="utf-8")
        clock.now_s += EVERY_S
        await shared.of("anybody")
        await shared.close()
        assert [item.suggestion for item in (await shared.of("anybody")).by_micro[GASES]] == [served]


async def test_the_stage_serves_each_client_from_its_own_and_the_gate_guards_them_all(
    tmp_path: Path, lexicon: Lexicon
) -> None:
    (tmp_path / "drogaria-sol").mkdir()
    own = cestas("Luftal gotas", "Clonazepam 2 mg", "Poção da vovó")
    (tmp_path / "drogaria-sol" / "cestas.json").write_text(own, encoding="utf-8")
    understood = Understanding(Entities(symptoms=("gases",)), *GASES, 0.9, "llm")
    stage = Recommender(
        RecommenderSettings(policy="llm", catalogues=CataloguesSettings(dir=tmp_path)),
        llm=FakeAdvisor(understood),
        lexicon=lexicon,
    )
    theirs = await stage.advise(AdviceRequest("u1", "estou com gases", 3.0, client_id="drogaria-sol"))
    common = await stage.advise(AdviceRequest("u2", "estou com gases", 3.0, client_id="outra"))
    await stage.close()
    assert [item.suggestion for item in theirs.items] == ["Luftal gotas"]
    assert {block.rule_id for block in theirs.blocked} == {"G-DISPENSACAO", "G-DESCONHECIDO"}
    assert common.items
    assert "Luftal gotas" not in [item.suggestion for item in common.items]
    assert (await stage.health())["catalogos"] == {"proprios": 1, "recusados": {}}
