"""What can be suggested: the pharmacy's baskets and products, in the formats that pharmacies already have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cestas.data_files import DATA_DIR, CestasError, load_taxonomy
from cestas.json_place import Place, line_of, shown
from cestas.model import Item
from cestas.text import fold, slug

Items = tuple[Item, ...]
ConvertedT = TypeVar("ConvertedT")


class CatalogueError(CestasError):
    """A `cestas.json` or `produtos.json` is missing or malformed; the text names file, line, place and reason."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product of `produtos.json` and the complaints it is for, as item and folded phrases."""

    item: Item
    indications: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """Baskets by category and products by indication; immutable, so it can be swapped whole when a file changes."""

    by_micro: Mapping[tuple[str, str], tuple[Item, ...]]
    by_macro: Mapping[str, tuple[Item, ...]]
    products: tuple[Product, ...]
    roles: Mapping[str, str]
    """Item id → its role (`alivio`, `apoio`, `cuidado`, `prevencao`); absent where the file gives none."""

    @classmethod
    def load(cls, cestas_path: Path | None = None, produtos_path: Path | None = None) -> Catalogue:
        """Read both files (None: the shipped ones); raises CatalogueError with line, place and reason."""
        cestas_path = cestas_path or DATA_DIR / "cestas.json"
        produtos_path = produtos_path or DATA_DIR / "produtos.json"
        return _Reader(load_taxonomy()).read(cestas_path, produtos_path)

    def items(self) -> Iterator[Item]:
        """Every item, of baskets, fallbacks and products."""
        for group in (*self.by_micro.values(), *self.by_macro.values()):
            yield from group
        for product in self.products:
            yield product.item

    def for_indication(self, names: Iterable[str]) -> tuple[Item, ...]:
        """Products whose indications name one of `names` (canonical complaints)."""
        wanted = {fold(name) for name in names}
        return tuple(product.item for product in self.products if wanted.intersection(product.indications))


class _Misplaced(Exception):
    """A value is not what it must be; `place` says where it stands."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(f"{shown(place)}: must be {what}")
        self.place = place


class _Reader:
    """Checks and converts the two files."""

    def __init__(self, taxonomy: Mapping[str, tuple[str, ...]]) -> None:
        self._taxonomy = taxonomy
        self._roles: dict[str, str] = {}

    def read(self, cestas_path: Path, produtos_path: Path) -> Catalogue:
        by_micro, by_macro = _converted(cestas_path, self._baskets)
        return Catalogue(by_micro, by_macro, _converted(produtos_path, self._products), self._roles)

    def _baskets(self, value: Any) -> tuple[dict[tuple[str, str], Items], dict[str, Items]]:
        _expect(isinstance(value, dict), (), "an object")
        fallback, by_category = value.get("fallback_macro_default", {}), value.get("cestas_por_macro_micro", {})
        _expect("cestas_por_macro_micro" in value, ("cestas_por_macro_micro",), "present")
        _expect(isinstance(fallback, dict), ("fallback_macro_default",), "an object")
        _expect(isinstance(by_category, dict), ("cestas_por_macro_micro",), "an object")
        by_macro = {}
        for macro, items in fallback.items():
            place: Place = ("fallback_macro_default", macro)
            self._known(macro, place)
            by_macro[macro] = self._items(items, (macro,), place)
        by_micro = {}
        for macro, micros in by_category.items():
            place = ("cestas_por_macro_micro", macro)
            self._known(macro, place)
            _expect(isinstance(micros, dict), place, "an object")
            for micro, items in micros.items():
                _expect(micro in self._taxonomy[macro], (*place, micro), "a micro category of the taxonomy")
                by_micro[macro, micro] = self._items(items, (macro, micro), (*place, micro))
        return by_micro, by_macro

    def _known(self, macro: str, place: Place) -> None:
        _expect(macro in self._taxonomy, place, "a macro category of the taxonomy")

    def _items(self, value: Any, category: tuple[str, ...], place: Place) -> Items:
        _expect(isinstance(value, list), place, "a list")
        items = []
        for index, record in enumerate(value):
            here = (*place, index)
            _expect(isinstance(record, dict), here, "an object")
            suggestion = _text(record, "sugestao", here)
            explanation = _text(record, "explicacao", here)
            tag = record.get("tag") or ""
            _expect(isinstance(tag, str), (*here, "tag"), "a string")
            item = Item("/".join(slug(part) for part in (*category, suggestion)), suggestion, explanation, tag)
            items.append(item)
            role = record.get("papel")
            if isinstance(role, str) and role:
                self._roles[item.id] = role
        return tuple(items)

    def _products(self, value: Any) -> tuple[Product, ...]:
        _expect(isinstance(value, list), (), "a list")
        products = []
        for index, record in enumerate(value):
            _expect(isinstance(record, dict), (index,), "an object")
            name = _text(record, "produto", (index,))
            said = record.get("indicacao")
            good = isinstance(said, list) and bool(said) and all(isinstance(s, str) and s.strip() for s in said)
            _expect(good, (index, "indicacao"), "a list of one or more non-empty strings")
            phrases = [str(phrase) for phrase in said or ()]
            explanation = f"Costuma ser procurado para {phrases[0].strip().lower()}."
            item = Item(f"produtos/{slug(name)}", name, explanation, phrases[0])
            products.append(Product(item, tuple(" ".join(fold(phrase).split()) for phrase in phrases)))
        return tuple(products)


def _converted(path: Path, convert: Callable[[Any], ConvertedT]) -> ConvertedT:
    """What `convert` makes of the file; raises CatalogueError with the file, the line, the place and the reason."""
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors on Windows put a mark in front
        value = json.loads(text)
    except OSError as exc:
        raise CatalogueError(f"{path.name}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise CatalogueError(f"{path.name}: byte {exc.start} is not UTF-8; save it as UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise CatalogueError(f"{path.name}: line {exc.lineno} column {exc.colno}: {exc.msg}") from exc
    except RecursionError:
        raise CatalogueError(f"{path.name}: is nested too deeply") from None
    try:
        return convert(value)
    except _Misplaced as exc:
        raise CatalogueError(f"{path.name}: line {line_of(text, exc.place)}: {exc}") from None


def _text(record: dict[str, Any], key: str, place: Place) -> str:
    value = record.get(key)
    _expect(isinstance(value, str) and bool(value.strip()), (*place, key), "a non-empty string")
    return str(value).strip()


def _expect(holds: bool, place: Place, what: str) -> None:
    if not holds:
        raise _Misplaced(place, what)
