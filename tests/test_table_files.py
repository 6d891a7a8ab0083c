"""Tables in files, however they are written."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.datasets import table_path
from fastnn.datasets.deliveries import make_deliveries
from fastnn.tabular.table_files import read_bytes, read_file

pytest.importorskip("pyarrow")

PLAIN = {"name": ["a", "b", "c"], "size": [1.5, 2.25, -3.0], "n": [1, 2, 3]}


def lists(table) -> dict:
    return {name: values.tolist() for name, values in table.items()}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [".", ","])
def test_csv_however_it_is_written(separator, encoding, end, mark):
    if mark == separator:
        return
    lines = ["name;size;n", "a;1.5;1", "b;2.25;2", "c;-3.0;3", ""]
    text = end.join(lines).replace(".", mark).replace(";", separator)
    assert lists(read_bytes(text.encode(encoding), "t")) == PLAIN


def test_texts_that_are_no_utf_are_said_to_be_windows_1252():
    with pytest.warns(UserWarning, match="t.csv is not UTF-8 and was read as Windows-1252"):
        table = read_bytes("größe,b\n1,ä\n".encode("cp1252"), "t.csv")
    assert lists(table) == {"größe": [1], "b": ["ä"]}


def test_quotes_with_newlines_separators_and_quotes():
    table = read_bytes(b'"a\nb",c\n"x\ny",1\n"u, ""v""",2\n', "t")
    assert lists(table) == {"a\nb": ["x\ny", 'u, "v"'], "c": [1, 2]}


def test_a_newline_in_the_header_alone_or_in_a_value_alone():
    assert lists(read_bytes(b'"a\nb",c\nx,1\n', "t")) == {"a\nb": ["x"], "c": [1]}
    assert lists(read_bytes(b'a,c\n"x\ny",1\n', "t")) == {"a": ["x\ny"], "c": [1]}
    assert lists(read_bytes(b'"a",c\rx,1\ry,2\r', "t")) == {"a": ["x", "y"], "c": [1, 2]}


@pytest.mark.parametrize("n", [3, 100_000])
def test_texts_of_few_and_many_levels_over_many_blocks(n):
    texts = [f"t{i % n}" for i in range(200_000)] + [None, "late"]
    data = "t,x\n" + "".join(f"{text or ''},0.123456\n" for text in texts)
    assert len(data) > 1 << 21  # bytes of two of Arrow's blocks
    assert read_bytes(data.encode(), "t")["t"].tolist() == texts


def test_what_is_missing():
    table = read_bytes(b"x,t,d\n1,a,2020-01-31\n,,\nNA,null,NaN\n", "t")
    np.testing.assert_array_equal(table["x"], [1, np.nan, np.nan])
    assert table["t"].tolist() == ["a", None, None]
    assert np.isnat(table["d"]).tolist() == [False, True, True]
    assert table["d"][0] == np.datetime64("2020-01-31")


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,234", "617", "12,345,678", "-2,000.5"], ["1234", "617", "12345678", "-2000.5"]),
        (["1,234", "0,617"], ["1,234", "0,617"]),  # decimal commas
        (["1,234", "1,5"], ["1,234", "1,5"]),
        (["1,234", "rooms 1,2"], ["1,234", "rooms 1,2"]),
        (["1,234", "-"], ["1234", "-"]),
    ],
)
def test_commas_between_thousands_are_left_out_where_they_separate_fields(cells, numbers):
    lines = [f'{i},"{cell}"' for i, cell in enumerate(cells)]
    assert read_bytes("\n".join(["a,b", *lines]).encode(), "t")["b"].tolist() == numbers


def test_leading_zeros_are_no_numbers():
    assert lists(read_bytes(b"zip,n\n01234,1\n22222,2\n", "t"))["zip"] == ["01234", "22222"]


def test_a_type_that_shows_late_is_that_of_the_whole_column():
    data = b"a,b\n" + b"1,2\n" * 600_000 + b"x,2.5\n"
    table = read_bytes(data, "t")
    assert table["a"].tolist()[-2:] == ["1", "x"]
    assert table["b"].tolist()[-2:] == [2.0, 2.5]


@pytest.mark.parametrize(
    ("text", "expected", "names"),
    [
        ("5.1,3.5,setosa\n4.9,3,virginica\n", (), ["1", "2", "3"]),
        ("1,5;2,5\n3,5;4,5\n", (), ["1", "2"]),
        ("7,8\n5,6\n", ("2",), ["1", "2"]),
        ("7,8\n", ("1",), ["1", "2"]),
        ("x,8\n5,6\n", (), ["x", "8"]),
        ("0,1,2\n5,6,9\n", (), ["0", "1", "2"]),  # of an array
        (",2019,2020\nSpain,5,9\n", (), ["column 1", "2019", "2020"]),
        ("2019,2022\n5,6\n", ("2022",), ["2019", "2022"]),
        ("a,b\nx,y\n", (), ["a", "b"]),
    ],
)
@pytest.mark.filterwarnings("ignore:the first line of t holds numbers")
def test_whether_there_is_a_header(text, expected, names):
    table = read_bytes(text.encode(), "t", expected)
    assert list(table) == names
    assert len(table[names[0]]) == text.count("\n") - (names[0] not in ("1",))


def test_a_missing_header_is_told():
    with pytest.warns(UserWarning, match="the first line of t holds numbers.* called 1 to 2"):
        read_bytes(b"7.5,8\n5,6\n", "t")


@pytest.mark.parametrize("last", ["23:59", "24:00", "?", ""])
def test_times_of_the_day_are_as_they_are_written(last):
    columns = read_bytes(f"t,x\n08:15,1\n07:00,2\n{last},3\n".encode(), "t")
    assert columns["t"].tolist() == ["08:15", "07:00", last or None]


def test_npz(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, X=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "a"]))
    assert lists(read_file(path)) == {"X0": [0, 2, 4], "X1": [1, 3, 5], "y": ["a", "b", "a"]}


def test_parquet():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table(
        {"x": [1.5, None], "c": pyarrow.array(["u", "v"]).dictionary_encode(), "b": [True, None]}
    )
    file = io.BytesIO()
    parquet.write_table(table, file)
    columns = read_bytes(file.getvalue(), "t")
    np.testing.assert_array_equal(columns["x"], [1.5, np.nan])
    assert columns["c"].tolist() == ["u", "v"]
    assert columns["b"].tolist() == [True, None]


def as_parquet(table) -> bytes:
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(table, file, row_group_size=3)
    return file.getvalue()


def test_columns_of_arrow_are_what_its_own_way_to_numpy_makes_of_them():
    pyarrow = pytest.importorskip("pyarrow")
    texts = ["a", None, "b", "a", "ü", "b", None, "a"]
    days = ["2020-01-31", None, "1969-12-31", "2020-02-29"] * 2
    moments = np.array(days, "M8[s]")
    numbers = [1, 2, None, 4, 5, 6, 7, 8]
    table = pyarrow.table(
        {
            "text": texts,
            "large": pyarrow.array(texts, pyarrow.large_string()),
            "coded": pyarrow.array(texts).dictionary_encode(),
            "coded numbers": pyarrow.array(numbers).dictionary_encode(),
            "whole": numbers,
            "small": pyarrow.array(numbers, pyarrow.int8()),
            "all there": pyarrow.array(range(8), pyarrow.uint16()),
            "float": pyarrow.array(numbers, pyarrow.float32()),
            "day": pyarrow.array(moments.astype("M8[D]")),
            "moment": pyarrow.array(moments, pyarrow.timestamp("us")),
            "zone": pyarrow.array(moments, pyarrow.timestamp("ms", "Europe/Berlin")),
            "yes": [True, False, None, True] * 2,
            "none": pyarrow.nulls(8),
        }
    )
    for part in (table, table.slice(1, 5)):
        columns = read_bytes(as_parquet(part), "t")
        for name, column in zip(part.column_names, part.columns, strict=True):
            if "coded" in name:
                column = column.cast(column.type.value_type)
            expected = column.to_numpy()
            if expected.dtype.kind == "M":
                assert columns[name].dtype.kind == "M"
            elif name != "small":
                assert columns[name].dtype == expected.dtype, name
            np.testing.assert_array_equal(columns[name], expected, name)


def test_a_parquet_file_without_rows_is_refused():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(
        {"x": pyarrow.array([], pyarrow.float64()), "t": pyarrow.array([], "str")}
    )
    with pytest.raises(ValueError, match="t has column names and no rows"):
        read_bytes(as_parquet(table), "t")


def test_reading_a_csv_file_does_without_pandas():
    program = (
        "import sys; from fastnn.tabular.table_files import read_bytes\n"
        "table = read_bytes(b'x,n,t,d\\n1.5,2,a,2020-01-31\\n,,,\\n', 't')\n"
        "assert len(table) == 4\n"
        "print('pandas' in sys.modules)"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert printed == "False\n"


def archive(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def damaged_archive() -> bytes:
    """Whose compressed bytes cannot be expanded."""
    file = io.BytesIO()
    np.savez_compressed(file, y=np.arange(1000) % 7)
    content = bytearray(file.getvalue())
    content[60:160] = b"\xff" * 100
    return bytes(content)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "t is empty"),
        (b"\xef\xbb\xbf\n \n", "t is empty"),
        (b"a,b\n", "t has column names and no rows"),
        (b"a,b,a\n1,2,3\n", "t must have columns of different names, got 'a' twice"),
        (b"a,b\n1,2\n1,2,3\n", "t as CSV, whose rows .* Expected 2 columns, got 3"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "t is no table: it has bytes that no text has"),
        (b"a,b\n\x81,2\n", "t is no table: it is no text in cp1252"),
        (b"\xff\xfea\0,", "t is no table: it is no text in utf-16"),
        (b"PK\x03\x04 and so on", "cannot read t as NPZ"),
        (damaged_archive(), "cannot read t as NPZ"),
        (b"PAR1 and so on", "cannot read t as Parquet"),
        (archive(a=np.zeros(2), b=np.zeros(3)), "t: 'a' has 2 rows, and 'b' has 3"),
        (archive(a=np.zeros((2, 2, 2))), "t: 'a' must have one or two dimensions, not 3"),
        (archive(a=np.array([object()])), "cannot read t as NPZ"),
        (archive(X=np.zeros((2, 1)), X0=np.zeros(2)), "different names, got 'X0' twice"),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        read_bytes(data, "t")


def test_a_sheet_is_no_archive_of_arrays():
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as sheet:
        sheet.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(ValueError, match=r"t is an archive, but no table: .*save a sheet as CSV"):
        read_bytes(file.getvalue(), "t")


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pyarrow is not installed; the extra 'data' brings it"):
        read_bytes(b"a,b\n1,2\n", "t")


def test_the_table_of_the_package_is_what_its_generator_makes(tmp_path):
    assert table_path().stat().st_size < 40_000
    made: Path = tmp_path / "made.csv"
    make_deliveries(made)
    assert made.read_bytes() == table_path().read_bytes()
    table = read_file(table_path())
    assert len(table["late"]) == 400
    assert set(table["late"]) == {"yes", "no"}
