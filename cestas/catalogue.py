"""What can be suggested: the pharmacy's baskets and products, in the formats that pharmacies already have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cestas.data_files import DATA_DIR, CestasError, load_taxonomy, read_json
from cestas.model import Item
from cestas.text import fold, slug


class CatalogueError(CestasError):
    """A `cestas.json` or `produtos.json` is missing or malformed; the text names the file, the place and the reason."""


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
        """Read both files (None: the shipped ones); raises CatalogueError with place and reason."""
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


class _Reader:
    """Checks and converts the two files."""

    def __init__(self, taxonomy: Mapping[str, tuple[str, ...]]) -> None:
        self._taxonomy = taxonomy
        self._roles: dict[str, str] = {}

    def read(self, cestas_path: Path, produtos_path: Path) -> Catalogue:
        baskets = read_json(cestas_path, CatalogueError)
        file = cestas_path.name
        _expect(isinstance(baskets, dict), file, "$", "an object")
        fallback = baskets.get("fallback_macro_default", {})
        by_category = baskets.get("cestas_por_macro_micro", {})
        _expect("cestas_por_macro_micro" in baskets, file, "cestas_por_macro_micro", "present")
        _expect(isinstance(fallback, dict), file, "fallback_macro_default", "an object")
        _expect(isinstance(by_category, dict), file, "cestas_por_macro_micro", "an object")
        by_macro = {}
        for macro, items in fallback.items():
            place = f"fallback_macro_default.{macro}"
            self._known(macro, file, place)
            by_macro[macro] = self._items(items, (macro,), file, place)
        by_micro = {}
        for macro, micros in by_category.items():
            place = f"cestas_por_macro_micro.{macro}"
            self._known(macro, file, place)
            _expect(isinstance(micros, dict), file, place, "an object")
            for micro, items in micros.items():
                _expect(micro in self._taxonomy[macro], file, f"{place}.{micro}", "a micro category of the taxonomy")
                by_micro[macro, micro] = self._items(items, (macro, micro), file, f"{place}.{micro}")
        products = self._products(read_json(produtos_path, CatalogueError), produtos_path.name)
        return Catalogue(by_micro, by_macro, products, self._roles)

    def _known(self, macro: str, file: str, place: str) -> None:
        _expect(macro in self._taxonomy, file, place, "a macro category of the taxonomy")

    def _items(self, value: Any, category: tuple[str, ...], file: str, place: str) -> tuple[Item, ...]:
        _expect(isinstance(value, list), file, place, "a list")
        items = []
        for index, record in enumerate(value):
            here = f"{place}[{index}]"
            _expect(isinstance(record, dict), file, here, "an object")
            suggestion = _text(record, "sugestao", file, here)
            explanation = _text(record, "explicacao", file, here)
            tag = record.get("tag") or ""
            _expect(isinstance(tag, str), file, f"{here}.tag", "a string")
            item = Item("/".join(slug(part) for part in (*category, suggestion)), suggestion, explanation, tag)
            items.append(item)
            role = record.get("papel")
            if isinstance(role, str) and role:
                self._roles[item.id] = role
        return tuple(items)

    def _products(self, value: Any, file: str) -> tuple[Product, ...]:
        _expect(isinstance(value, list), file, "$", "a list")
        products = []
        for index, record in enumerate(value):
            here = f"[{index}]"
            _expect(isinstance(record, dict), file, here, "an object")
            name = _text(record, "produto", file, here)
            said = record.get("indicacao")
            good = isinstance(said, list) and bool(said) and all(isinstance(s, str) and s.strip() for s in said)
            _expect(good, file, f"{here}.indicacao", "a list of one or more non-empty strings")
            phrases = [str(phrase) for phrase in said or ()]
            explanation = f"Costuma ser procurado para {phrases[0].strip().lower()}."
            item = Item(f"produtos/{slug(name)}", name, explanation, phrases[0])
            products.append(Product(item, tuple(" ".join(fold(phrase).split()) for phrase in phrases)))
        return tuple(products)


def _text(record: dict[str, Any], key: str, file: str, place: str) -> str:
    value = record.get(key)
    _expect(isinstance(value, str) and bool(value.strip()), file, f"{place}.{key}", "a non-empty string")
    return str(value).strip()


def _expect(holds: bool, file: str, place: str, what: str) -> None:
    if not holds:
        raise CatalogueError(f"{file}: {place}: must be {what}")
