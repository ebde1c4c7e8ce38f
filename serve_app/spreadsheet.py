"""Rows as an XLSX or a CSV file, made piece by piece as they come: never all in memory, never on a disk."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from xml.sax.saxutils import escape

Lot = Sequence[Sequence[Any]]
"""Some rows, each with one value a column."""

CELL_MAX: Final = 32_767
"""Signs in one cell that spreadsheets read."""
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_PARTS: Final = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_OFFICE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_OFFICE}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
        '<sheet name="interacoes" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}


async def xlsx(columns: Sequence[str], lots: AsyncIterator[Lot], aside: Callable[..., Any]) -> AsyncIterator[bytes]:
    """The bytes of an XLSX file with one sheet. `aside` runs a function elsewhere and is awaited for its result."""
    out = _Drained()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, text in _PARTS.items():
            file.writestr(name, _XML + text)
        with file.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode() + _xml_rows([columns]))
            yield out.taken()
            async for lot in lots:
                sheet.write(await aside(_xml_rows, lot))
                yield out.taken()
            sheet.write(b"</sheetData></worksheet>")
    yield out.taken()


async def comma_separated(
    columns: Sequence[str], lots: AsyncIterator[Lot], aside: Callable[..., Any]
) -> AsyncIterator[bytes]:
    """The bytes of a CSV file in UTF-8 with a mark that Excel looks for. `aside` as for `xlsx`."""
    yield b"\xef\xbb\xbf" + _csv_rows([columns])
    async for lot in lots:
        yield await aside(_csv_rows, lot)


class _Drained(io.RawIOBase):
    """A file that only grows and gives away what was written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _xml_rows(lot: Lot) -> bytes:
    return "".join(f"<row>{''.join(map(_xml_cell, row))}</row>" for row in lot).encode()


def _xml_cell(value: Any) -> str:
    """Text is inline text, which no spreadsheet takes for a formula."""
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    text = escape(_NOT_XML.sub("", _text(value))[:CELL_MAX])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _csv_rows(lot: Lot) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([_csv_cell(value) for value in row] for row in lot)
    return out.getvalue().encode("utf-8", "replace")


def _csv_cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets a sign before it that says: text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = _text(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
