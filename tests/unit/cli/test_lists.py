"""Lists in CSV: what is wrong with a row is told of that row."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconcile.cli.lists import Format, Row, table
from reconcile.errors import WrongUse

FIELDS, REQUIRED = ("one", "two"), ("one",)


def read(
    folder: Path, content: bytes, encoding: str = "utf-8-sig", delimiter: str = ""
) -> list[Row]:
    file = folder / "list.csv"
    file.write_bytes(content)
    return list(table(file, Format(encoding, delimiter), FIELDS, REQUIRED).rows())


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"one,two\na,b\n", "utf-8-sig"),
        (b"\xef\xbb\xbfone,two\r\na,b\r\n", "utf-8-sig"),
        (b" ONE ;Two\na; b \n", "utf-8-sig"),
        (b"two\tone\tthree\nb\ta\tc", "latin-1"),
        (b'"one"|"two"\n"a"|"b"\n\n||\n', "ascii"),
    ],
)
def test_however_a_list_is_written_it_says_the_same(
    tmp_path: Path, content: bytes, encoding: str
) -> None:
    """
    Byte order mark, delimiter, quotes, line ends, order and case of the heading.
    """
    if b"||" in content:
        content = content.replace(b"||", b"|")
    [row] = read(tmp_path, content, encoding)
    assert (row.line, row.values, row.wrong) == (2, {"one": "a", "two": "b"}, "")


def test_a_value_may_hold_delimiters_quotes_and_other_scripts(tmp_path: Path) -> None:
    """
    As RFC 4180 quotes them.
    """
    [row] = read(tmp_path, 'one,two\n"a, ""b""",Müller 山田\n'.encode())
    assert row.values == {"one": 'a, "b"', "two": "Müller 山田"}


def test_a_row_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    """
    Each is told with the line that it begins in, and none of its values.
    """
    content = (
        b"one,two\n"
        b"a,b\n"
        b"M\xfcller,b\n"
        b"a,b,c\n"
        b"a\n"
        b'"a"x,b\n'
        b'"a\nb",b\n'
        b"a\0,b\n"
        b"last,one\n"
        b'"not closed,b\nand more,c\n'
    )
    rows = read(tmp_path, content)
    assert {row.line: bool(row.wrong) for row in rows} == {
        2: False,
        3: True,
        4: True,
        5: True,
        6: True,
        7: True,
        9: True,
        10: False,
        11: True,
    }
    assert "--encoding" in rows[1].wrong
    assert rows[1].cells == ["M\udcfcller", "b"]
    assert not any("ller" in row.wrong for row in rows)


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (b"two\nb\n", Format()),
        (b"", Format()),
        (b"one,one\na,b\n", Format()),
        (b"one,two\n", Format(encoding="utf-16")),
        (b"one,two\n", Format(encoding="rot13")),
        (b"one,two\n", Format(encoding="no such")),
        (b"one,two\n", Format(delimiter=",,")),
        (b"one,two\n", Format(columns={"three": "two"})),
        (b"one,two\n", Format(columns={"one": "four"})),
    ],
)
def test_a_heading_that_is_not_understood_stops_before_the_first_row(
    tmp_path: Path, content: bytes, how: Format
) -> None:
    """
    Nothing is guessed of whole columns.
    """
    file = tmp_path / "list.csv"
    file.write_bytes(content)
    with pytest.raises(WrongUse):
        table(file, how, FIELDS, REQUIRED)


def test_a_column_may_have_any_name(tmp_path: Path) -> None:
    """
    And what nothing is read from is told.
    """
    file = tmp_path / "list.csv"
    file.write_text("Nummer;two;x\n1;b;c\n")
    found = table(file, Format(columns={"one": "NUMMER"}), FIELDS, REQUIRED)
    assert [row.values for row in found.rows()] == [{"one": "1", "two": "b"}]
    assert found.unused == ["x"]
