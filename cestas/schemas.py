"""The shape of each knowledge file: pydantic models that check it and give its JSON Schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, RootModel, StringConstraints, ValidationError

from cestas.data_files import DATA_DIR, read_json

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=False)]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Z_]+(/[A-Z_0-9]+)?$")]
Severity = Literal["alta", "media"]
Dispensing = Literal["isento", "tarja_vermelha", "retencao", "controlado", "nao_medicamento"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassRecord(_Record):
    """A therapeutic or product class."""

    id: Text
    nome: Text
    categoria: Label
    situacao: str = ""
    sem_repetir: bool = False
    pai: str = ""


class ClassesFile(_Record):
    """`classes.json`."""

    classes: list[ClassRecord]


class IngredientRecord(_Record):
    """An active ingredient; the first of its classes is the main one."""

    nome: Text
    classes: Annotated[list[Text], "at least one"]
    dispensacao: Dispensing
    formas: list[Text]
    falas: list[Text]
    isento_ate_mg: float | None = None


class BrandRecord(_Record):
    """A brand and all its ingredients; `classe` is its main class where that is not its first ingredient's."""

    nome: Text
    ingredientes: list[Text]
    dispensacao: Dispensing
    formas: list[Text]
    falas: list[Text]
    classe: str = ""


class LabelRecord(_Record):
    """A label of catalogues that names a kind of product, and all products that it may turn out to be."""

    nome: Text
    produtos: list[Text]
    falas: list[Text]


class MedicinesFile(_Record):
    """`medicines.json`."""

    ingredientes: list[IngredientRecord]
    marcas: list[BrandRecord]
    rotulos: list[LabelRecord]


class ArticleRecord(_Record):
    """Something a pharmacy sells that is no medicine; `so_item`: it may be offered, but who names it needs nothing."""

    nome: Text
    classes: list[Text]
    categoria: Label
    falas: list[Text]
    so_item: bool = False


class ArticlesFile(_Record):
    """`articles.json`."""

    artigos: list[ArticleRecord]


class ComplaintRecord(_Record):
    """A symptom, disease, occasion or kind of product; `so_falas`: the name alone is too ambiguous to match."""

    nome: Text
    tipo: Literal["sintoma", "doenca", "contexto", "pedido"]
    categorias: list[Label]
    falas: list[Text]
    so_falas: bool = False


class SymptomsFile(_Record):
    """`symptoms.json`."""

    sintomas: list[ComplaintRecord]


class PairRecord(_Record):
    """What a complaint said of a body part is called."""

    parte: Text
    queixa: Text
    nome: Text


class MergedRecord(_Record):
    """Complaints and situations that together are called something else."""

    de: list[Text]
    nome: Text


class BodyFile(_Record):
    """`body.json`."""

    partes: dict[str, list[Text]]
    queixas: dict[str, list[Text]]
    verbos: dict[str, list[Text]]
    sintomas: list[PairRecord]
    lesoes: list[Text]
    mais_gerais: dict[str, list[Text]]
    juntos: list[MergedRecord]
    padrao: dict[str, Text]


class SituationRecord(_Record):
    """A situation and how people say it."""

    nome: Text
    falas: list[Text]


class SituationsFile(_Record):
    """`situations.json`."""

    situacoes: list[SituationRecord]
    por_doenca: dict[str, Text]
    alergia: list[Text]
    em_uso: list[Text]
    pediatria: dict[str, Text]
    bebe: dict[str, Text]


class IntentsFile(RootModel[dict[str, list[Text]]]):
    """`intents.json`: intent → the words that tell it."""


class EverydayFile(_Record):
    """`everyday.json`: words that must never be taken for a mangled medicine."""

    palavras: list[Text]


class WhenRecord(_Record):
    """For whom or with what a rule applies; any one of these is enough."""

    situacoes: list[Text] = []
    classes: list[Text] = []
    ingredientes: list[Text] = []
    queixas: list[Text] = []


class BlocksRecord(_Record):
    """What a rule holds back; `exceto` passes all the same."""

    classes: list[Text] = []
    ingredientes: list[Text] = []
    exceto: list[Text] = []


class RuleRecord(_Record):
    """A contraindication."""

    id: Text
    gravidade: Severity
    quando: WhenRecord
    bloqueia: BlocksRecord
    fonte: Text
    motivo: Text


class NeedOfRecord(_Record):
    """What is offered only for certain complaints."""

    classes: list[Text] = []
    ingredientes: list[Text] = []


class NeededRecord(_Record):
    """Complaints, or categories of complaints, any one of which has to be named."""

    queixas: list[Text] = []
    categorias: list[Text] = []


class NeedRecord(_Record):
    """Medicines that are offered only where their complaint was named."""

    id: Text
    gravidade: Severity
    de: NeedOfRecord
    so_com: NeededRecord
    fonte: Text
    motivo: Text


class CombinationRecord(_Record):
    """One of these complaints in one of these situations."""

    queixas: list[Text]
    situacoes: list[Text]


class FlagRecord(_Record):
    """A red flag and what the attendant is told; `literais` count word for word, `falas` with fillers between."""

    id: Text
    gravidade: Literal["emergencia"]
    fonte: Text
    alerta: Text
    falas: list[Text]
    juntas: list[list[Text]]
    combinacoes: list[CombinationRecord]
    literais: list[Text] = []


class SafetyFile(_Record):
    """`safety.json`."""

    regras: list[RuleRecord]
    necessidades: list[NeedRecord]
    bandeiras: list[FlagRecord]


class WeightsFile(_Record):
    """`weights.json`, written by `python -m cestas.train`: feature → [rarity, [[class, weight], …]]."""

    classes: list[str]
    sure: float
    ahead: float
    features: dict[str, tuple[float, list[tuple[int, float]]]]


class SpeakFile(_Record):
    """`speak.json`, written by `python -m cestas.train`: feature → [weight for a need, weight for an alarm]."""

    bias: tuple[float, float]
    need_at: float
    alarm_at: float
    weights: dict[str, tuple[float, float]]


class TaxonomyFile(RootModel[dict[str, list[Text]]]):
    """`taxonomy.json`: macro category → micro categories."""


class ItemRecord(BaseModel):
    """An item of a basket; files of pharmacies may carry further fields."""

    model_config = ConfigDict(extra="allow", frozen=True)

    sugestao: Text
    explicacao: Text
    tag: str = ""
    papel: str = ""


class CestasFile(_Record):
    """`cestas.json`."""

    fallback_macro_default: dict[str, list[ItemRecord]]
    cestas_por_macro_micro: dict[str, dict[str, list[ItemRecord]]]


class ProductRecord(BaseModel):
    """A product and what it is for."""

    model_config = ConfigDict(extra="allow", frozen=True)

    produto: Text
    indicacao: list[Text]


class ProdutosFile(RootModel[list[ProductRecord]]):
    """`produtos.json`."""


FILES: dict[str, type[BaseModel]] = {
    "articles": ArticlesFile,
    "body": BodyFile,
    "cestas": CestasFile,
    "classes": ClassesFile,
    "everyday": EverydayFile,
    "intents": IntentsFile,
    "medicines": MedicinesFile,
    "produtos": ProdutosFile,
    "safety": SafetyFile,
    "situations": SituationsFile,
    "speak": SpeakFile,
    "symptoms": SymptomsFile,
    "taxonomy": TaxonomyFile,
    "weights": WeightsFile,
}
"""File name without its ending → the model of its shape."""


def violations(directory: Path = DATA_DIR) -> Iterator[str]:
    """Where the files of `directory` have another shape than they should: file, place, reason."""
    for name, model in FILES.items():
        try:
            model.model_validate(read_json(directory / f"{name}.json"))
        except ValidationError as error:
            for fault in error.errors():
                place = ".".join(str(part) for part in fault["loc"])
                yield f"{name}.json: {place}: {fault['msg']}"


def write_schemas(directory: Path = DATA_DIR / "schemas") -> None:
    """Write one JSON Schema per knowledge file, for editors that check as a pharmacist types."""
    directory.mkdir(exist_ok=True)
    for name, model in FILES.items():
        text = json.dumps(model.model_json_schema(), ensure_ascii=False, indent=2)
        (directory / f"{name}.schema.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
    sys.stdout.write(f"{len(FILES)} schemas written\n")
