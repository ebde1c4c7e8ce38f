"""Rows become files piece by piece, and nothing in them is a formula."""

import csv
import io
import zipfile
from datetime import datetime, timezone
from xml.etree import ElementTree

import pytest

from serve_app.spreadsheet import comma_separated, xlsx

WHEN = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
ROWS = [["=1+1", 1.5, True, None, WHEN], ["<b>&ção\x0b", -3, False, {"a": ["é"]}, "-2+3"]]


async def lots():
    for row in ROWS:
        yield [row]


async def now(function, *args):
    return function(*args)


async def written(make):
    return b"".join([piece async for piece in make(["texto", "número", "b", "vazio", "quando"], lots(), now)])


async def test_an_xlsx_file_holds_text_as_text_and_numbers_as_numbers():
    with zipfile.ZipFile(io.BytesIO(await written(xlsx))) as file:
        assert file.testzip() is None
        sheet = ElementTree.fromstring(file.read("xl/worksheets/sheet1.xml"))
    space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    rows = [
        [(cell.get("t"), "".join(cell.itertext())) for cell in row.findall("m:c", space)]
        for row in sheet.findall("m:sheetData/m:row", space)
    ]
    assert rows[0][0] == ("inlineStr", "texto")
    assert rows[1] == [
        ("inlineStr", "=1+1"),
        (None, "1.5"),
        ("b", "1"),
        (None, ""),
        ("inlineStr", "2026-11-22T12:00:00+00:00"),
    ]
    assert rows[2][0] == ("inlineStr", "<b>&ção")
    assert sheet.find(".//m:f", space) is None


async def test_a_csv_file_marks_what_would_be_a_formula_as_text():
    text = (await written(comma_separated)).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["'=1+1", "1.5", "True", "", "2026-11-22T12:00:00+00:00"],
        ["<b>&ção\x0b", "-3", "False", '{"a": ["é"]}', "'-2+3"],
    ]


@pytest.mark.parametrize("make", [xlsx, comma_separated])
async def test_pieces_leave_as_rows_come(make):
    pieces = [piece async for piece in make(["a"], lots(), now)]
    assert len(pieces) >= 1 + len(ROWS)
