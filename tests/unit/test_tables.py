"""Tables as spreadsheets write them: whatever separates the cells, in whichever encoding, with either decimal mark."""

import pytest

from actors.tables import read_table

ROWS = (("ship", "town"), ("Ada", "Nîmes"), ("Bob", "Orléans"), ("Cid", "Brême"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_however_it_was_saved(encoding: str, delimiter: str, end: str) -> None:
    table = read_table(end.join(map(delimiter.join, ROWS)).encode(encoding))
    assert [(column.name, *column.cells) for column in table.columns] == [*zip(*ROWS, strict=True)]


def test_signs_of_windows_are_signs() -> None:
    table = read_table("name,price\n“Ada” – the first,5\nBob,€ 7\n".encode("cp1252"))
    assert table.columns[0].cells[0] == "“Ada” – the first"
    assert table.columns[1].numbers == (5, 7)


def test_a_spreadsheet_may_say_what_separates_its_cells() -> None:
    table = read_table(b"sep=;\r\nship;note\r\nAda;a,b,c\r\nBob;d\r\n")
    assert [column.name for column in table.columns] == ["ship", "note"]
    assert table.columns[1].cells == ("a,b,c", "d")


def test_what_stands_in_quotes_separates_nothing() -> None:
    table = read_table(b'"name, first, last, title";town\n"Ada, A., Love, Mrs";Bath\n')
    assert [column.name for column in table.columns] == ["name, first, last, title", "town"]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (("10,5", "1.234,25", "7"), (10.5, 1234.25, 7)),
        (("-0,5", "", "1,234"), (-0.5, None, 1.234)),
        (("€ 10,50", "12,00 €", "26,5 %"), (10.5, 12, 26.5)),
        (("1,234.50", "10.5", "7"), (1234.5, 10.5, 7)),
        (("10.5", "7", "1000"), (10.5, 7, 1000)),
    ],
)
def test_where_a_semicolon_separates_a_comma_may_be_the_decimal_mark(
    cells: tuple[str, ...], numbers: tuple[float | None, ...]
) -> None:
    rows = "".join(f"s{at};{cell}\n" for at, cell in enumerate(cells))
    assert read_table(f"ship;tonnes\n{rows}".encode()).columns[1].numbers == numbers


def test_where_a_comma_separates_it_is_none() -> None:
    assert read_table(b'ship,tonnes\na,"1,234"\nb,"2,345"\n').columns[1].numbers == (1234, 2345)
