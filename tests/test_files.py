"""Model files: round trips, damage, interrupted and concurrent writes."""

import json
import os
import random
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn import _files
from fastnn._files import read_model, write_model

DESCRIPTION = {
    "layers": [{"n_units": 3, "activation": "relu"}, {"n_units": 1, "activation": "sigmoid"}],
    "name": "Blütenblätter 花",
    "learning_rate": 0.1,
    "n_features": None,
}
TENSORS = {
    "parameters": np.linspace(-1, 1, 13, dtype=np.float32),
    "slots": np.arange(6.0).reshape(2, 3),
    "step": np.array(7, np.int64),
    "empty": np.empty((0, 4), np.float32),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def assert_same_tensors(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype.newbyteorder("=")
        assert actual[name].shape == array.shape
        assert actual[name].tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


def split_file(content):
    """The header as a dict, and the bytes of the tensors."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def join_file(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def forge(path, *, description_text="{}", **metadata):
    """A file whose checksum is right, whatever its description says."""
    write_model(path, {}, TENSORS)
    header, data = split_file(path.read_bytes())
    tensors = _files._in_file_order(TENSORS)
    header["__metadata__"] |= {
        "description": description_text,
        "checksum": _files._checksum(description_text, tensors),
    } | metadata
    path.write_bytes(join_file(header, data))


# --- what is written comes back -----------------------------------------------------------------


def test_model_comes_back_as_written(path):
    write_model(path, DESCRIPTION, TENSORS)
    description, tensors = read_model(path)
    assert description == DESCRIPTION
    assert_same_tensors(tensors, TENSORS)


@settings(max_examples=60, deadline=None)
@given(
    array=hnp.arrays(
        dtype=st.one_of(
            hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
            hnp.integer_dtypes(endianness="?"),
            hnp.unsigned_integer_dtypes(endianness="?"),
        ),
        shape=hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    ),
    name=st.text(st.characters(exclude_categories=["Cs"])).filter(lambda s: s != "__metadata__"),
)
def test_any_array_comes_back_bit_for_bit(tmp_path_factory, array, name):
    path = tmp_path_factory.getbasetemp() / "array.safetensors"
    write_model(path, {}, {name: array})
    assert_same_tensors(read_model(path)[1], {name: array})


@settings(max_examples=60, deadline=None)
@given(
    description=st.dictionaries(
        st.text(),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, width=64).filter(np.isfinite)
            | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
    )
)
def test_any_description_comes_back_exactly(tmp_path_factory, description):
    path = tmp_path_factory.getbasetemp() / "description.safetensors"
    write_model(path, description, {})
    assert read_model(path)[0] == description


def test_strided_and_read_only_arrays_are_stored_in_c_order(path):
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::2]
    array.flags.writeable = False
    write_model(path, {}, {"a": array})
    np.testing.assert_array_equal(read_model(path)[1]["a"], [[0, 2], [4, 6], [8, 10]])


def test_loaded_arrays_are_writable_and_own_their_memory(path):
    write_model(path, {}, TENSORS)
    for array in read_model(path)[1].values():
        assert array.flags.writeable
        assert array.flags.owndata
        assert array.flags.c_contiguous
        assert array.dtype.isnative


def test_arrays_longer_than_a_piece_come_back(path, monkeypatch):
    monkeypatch.setattr(_files, "_PIECE", 10)
    write_model(path, DESCRIPTION, TENSORS)
    assert_same_tensors(read_model(path)[1], TENSORS)


def test_safetensors_library_reads_the_file(path):
    pytest.importorskip("safetensors")
    from safetensors import safe_open
    from safetensors.numpy import load_file

    write_model(path, DESCRIPTION, TENSORS)
    assert_same_tensors(load_file(path), TENSORS)
    with safe_open(path, framework="numpy") as file:
        assert file.metadata()["format"] == "fastnn"
        assert json.loads(file.metadata()["description"]) == DESCRIPTION


def test_file_that_the_safetensors_library_wrote_again_loads(path):
    pytest.importorskip("safetensors")
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    write_model(path, DESCRIPTION, TENSORS)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file({name: array.copy() for name, array in load_file(path).items()}, path, metadata)
    assert_same_tensors(read_model(path)[1], TENSORS)


def test_tensors_are_aligned_in_the_file(path):
    write_model(
        path, {"pad": "x"}, {"a": np.ones(3, np.uint8), "b": np.ones(3), "c": TENSORS["step"]}
    )
    content = path.read_bytes()
    header, data = split_file(content)
    del header["__metadata__"]
    assert (len(content) - len(data)) % 8 == 0
    assert header["b"]["data_offsets"][0] % 8 == header["c"]["data_offsets"][0] % 8 == 0


def test_same_model_gives_the_same_bytes(path, tmp_path):
    write_model(path, DESCRIPTION, TENSORS)
    other = tmp_path / "other"
    write_model(other, DESCRIPTION, dict(reversed(TENSORS.items())))
    assert path.read_bytes() == other.read_bytes()


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "Größe 花 \N{GRINNING FACE}.safetensors", "x" * 250])
@pytest.mark.parametrize("convert", [str, Path])
def test_path_may_be_str_or_pathlike_with_any_name(tmp_path, name, convert):
    path = convert(tmp_path / name)
    write_model(path, DESCRIPTION, TENSORS)
    assert read_model(path)[0] == DESCRIPTION


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are not UTF-8")
def test_path_may_be_no_valid_utf8(tmp_path):
    path = os.path.join(tmp_path, os.fsdecode(b"\xff\xfe"))
    write_model(path, DESCRIPTION, TENSORS)
    assert read_model(path)[0] == DESCRIPTION


def test_relative_path_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model("model", DESCRIPTION, TENSORS)
    assert read_model("model")[0] == DESCRIPTION


@pytest.mark.parametrize("path", [3, None, b"model", 1.5])
def test_other_types_of_path_are_refused(path):
    with pytest.raises(TypeError, match="path must be a str"):
        write_model(path, {}, {})
    with pytest.raises(TypeError, match="path must be a str"):
        read_model(path)


def test_errors_of_the_operating_system_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        read_model(tmp_path)
    with pytest.raises(FileNotFoundError):
        write_model(tmp_path / "missing" / "model", {}, {})
    with pytest.raises(IsADirectoryError):
        write_model(tmp_path, {}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_neither_read_nor_replaced(path):
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a regular file"):
        read_model(path)
    with pytest.raises(ValueError, match="regular file"):
        write_model(path, {}, {})
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_link_stays_a_link(tmp_path, path):
    link = tmp_path / "folder" / "link"
    link.parent.mkdir()
    link.symlink_to("../model.safetensors")
    for description in ({"first": 1}, {"second": 2}):  # the target is made, then replaced
        write_model(link, description, {})
        assert link.is_symlink()
        assert not path.is_symlink()
        assert read_model(path)[0] == description
    assert [entry.name for entry in link.parent.iterdir()] == ["link"]


def test_link_to_itself_is_refused(path):
    path.symlink_to(path.name)
    with pytest.raises(OSError, match="symbolic links"):
        write_model(path, {}, {})
    assert path.is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_file_honours_the_umask(path, umask, mode):
    before = os.umask(umask)
    try:
        write_model(path, {}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_replaced_file_keeps_its_mode(path, mode):
    path.touch()
    path.chmod(mode)
    write_model(path, {}, {})
    assert stat.S_IMODE(path.stat().st_mode) == mode


# --- what cannot be stored ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "error"),
    [
        ([], TypeError),
        ({"loss": float("nan")}, ValueError),
        ({"loss": [float("-inf")]}, ValueError),
        ({"x": {1, 2}}, TypeError),
        ({"x": np.float32(1)}, TypeError),
        ({1: "a", "1": "b"}, ValueError),
    ],
)
def test_description_that_json_cannot_hold_is_refused(path, description, error):
    with pytest.raises(error, match="description must"):
        write_model(path, description, {})
    assert not path.exists()


def test_description_nested_without_end_is_refused(path):
    deep = {}
    for _ in range(100_000):
        deep = {"x": deep}
    with pytest.raises(ValueError, match="description must"):
        write_model(path, deep, {})


def test_description_too_long_to_be_read_again_is_refused(path, monkeypatch):
    monkeypatch.setattr(_files, "_LONGEST_HEADER", 1000)
    with pytest.raises(ValueError, match="description takes"):
        write_model(path, {"x": "y" * 1000}, {})
    assert not path.exists()


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ({1: np.ones(2)}, TypeError),
        ({"a": [1.0]}, TypeError),
        ({"a": np.ones(2, complex)}, ValueError),
        ({"a": np.array([{}])}, ValueError),
        ({"a": np.array(["text"])}, ValueError),
        ({"__metadata__": np.ones(2)}, ValueError),
        ({"\ud800": np.ones(2)}, ValueError),
    ],
)
def test_tensors_that_the_format_cannot_hold_are_refused(path, tensors, error):
    with pytest.raises(error, match="tensors"):
        write_model(path, {}, tensors)
    assert not path.exists()


# --- damage -------------------------------------------------------------------------------------


def mutate(content, rng):
    """One random flip, change, cut, insertion, removal or repetition, in any region."""
    header_end = 8 + int.from_bytes(content[:8], "little")
    begin, end = rng.choice([(0, 8), (8, header_end), (header_end, len(content))])
    at = rng.randrange(begin, end)
    changed = bytearray(content)
    kind = rng.choice(["flip", "change", "digit", "cut", "insert", "remove", "repeat", "extend"])
    if kind == "flip":
        changed[at] ^= 1 << rng.randrange(8)
    elif kind == "change":
        changed[at] = rng.randrange(256)
    elif kind == "digit":
        changed[at] = rng.choice(b'0123456789-e{}[],:" ')
    elif kind == "cut":
        del changed[at:]
    elif kind == "insert":
        changed[at:at] = rng.randbytes(rng.randrange(1, 20))
    elif kind == "remove":
        del changed[at : at + rng.randrange(1, 20)]
    elif kind == "repeat":
        changed[at:at] = changed[at : at + rng.randrange(1, 20)]
    else:
        changed += rng.randbytes(rng.randrange(1, 20))
    return bytes(changed)


def test_damaged_files_are_refused_or_load_identically(path):
    rng = random.Random(20240501)
    write_model(path, DESCRIPTION, TENSORS)
    intact = path.read_bytes()
    refusals = []
    for _ in range(2000):
        damaged = mutate(intact, rng)
        path.write_bytes(damaged)
        try:
            description, tensors = read_model(path)
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert description == DESCRIPTION
            assert_same_tensors(tensors, TENSORS)
    assert len(refusals) > 1800
    assert all(repr(str(path)) in refusal for refusal in refusals)


def test_every_cut_is_refused(path):
    write_model(path, {"a": 1}, {"x": np.ones(3, np.float32)})
    intact = path.read_bytes()
    for size in range(len(intact)):
        path.write_bytes(intact[:size])
        with pytest.raises(ValueError, match="cannot load"):
            read_model(path)


def test_every_flipped_bit_of_the_tensors_is_refused(path):
    write_model(path, {"a": 1}, {"x": np.ones(3, np.float32)})
    intact = path.read_bytes()
    for bit in range(12 * 8):
        damaged = bytearray(intact)
        damaged[len(intact) - 12 + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="checksum does not match"):
            read_model(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\0" * 1000,
        b"\xff" * 1000,
        (2**63).to_bytes(8, "little") + b"{}",
        (10**12).to_bytes(8, "little") + b"{}",
        b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
        join_file(b"{" * 10_000, b""),
        join_file(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b""),
        join_file(b'{"__metadata__":{"x":"\xff"}}', b""),
        join_file([], b""),
        join_file({"__metadata__": {"format": 1}}, b""),
        join_file({"a": [1]}, b""),
        join_file({"a": {"dtype": "F32", "shape": [1]}}, b"0000"),
        join_file({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, b"0000"),
        join_file({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}, b""),
        join_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"00000"),
        join_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}}, b"00000"),
        join_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 5]}}, b"00000"),
        join_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "b": 0}}, b"0000"),
        join_file(
            {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in ("a", "b")}, b"0000"
        ),
        join_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"0000"),
        join_file({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}}, b"0000"),
    ],
)
def test_what_is_not_safetensors_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a safetensors file"):
        read_model(path)


def test_header_longer_than_the_file_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr(_files, "_parse_object", lambda _: pytest.fail("parsed"))
    for size in (3, 1000, 10**12, 2**64 - 1):
        path.write_bytes(size.to_bytes(8, "little") + b"{}")
        with pytest.raises(ValueError, match="its 10 bytes do not hold its header"):
            read_model(path)


def test_header_longer_than_any_of_ours_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr(_files, "_parse_object", lambda _: pytest.fail("parsed"))
    path.write_bytes(join_file(b" " * (_files._LONGEST_HEADER + 1), b""))
    with pytest.raises(ValueError, match="its header takes 524289 bytes"):
        read_model(path)


def test_other_safetensors_files_are_refused(path):
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, path)
    with pytest.raises(ValueError, match="not a fastnn model"):
        read_model(path)
    save_file({"a": np.ones(3)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match="not a fastnn model"):
        read_model(path)
    save_file({"a": np.ones(3)}, path, {"format": "fastnn", "version": _files.VERSION})
    with pytest.raises(ValueError, match="no description"):
        read_model(path)


@pytest.mark.parametrize("shape", [[0, 2**63 - 1, 2**31], [0] * 100, [0, 2**64 - 1]])
def test_shapes_that_numpy_does_not_have_are_refused(path, shape):
    metadata = {"format": "fastnn", "version": _files.VERSION, "description": "{}", "checksum": ""}
    header = {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}
    path.write_bytes(join_file(header | {"__metadata__": metadata}, b""))
    with pytest.raises(ValueError, match="cannot load"):
        read_model(path)


def test_shape_of_many_large_dimensions_is_refused_before_it_is_multiplied(path):
    header = {"a": {"dtype": "F32", "shape": [2**32] * 20_000, "data_offsets": [0, 4]}}
    path.write_bytes(join_file(header, b"0000"))
    with pytest.raises(ValueError, match="tensor 'a' has 20000 dimensions"):
        read_model(path)


def test_types_that_fastnn_does_not_use_are_refused(path):
    metadata = {"format": "fastnn", "version": _files.VERSION, "description": "{}", "checksum": ""}
    header = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    path.write_bytes(join_file(header | {"__metadata__": metadata}, b"0000"))
    with pytest.raises(ValueError, match="dtype BF16"):
        read_model(path)


def test_newer_version_is_refused_by_name(path):
    forge(path, version="99")
    with pytest.raises(ValueError, match="version is '99'"):
        read_model(path)


def test_forged_file_loads_when_its_description_is_valid(path):
    forge(path, description_text='{"a": 1}')
    assert read_model(path)[0] == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"x": {"a": 1, "a": 2}}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        "[1]",
        "{",
        "",
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_description_that_fastnn_never_writes_is_refused(path, text):
    forge(path, description_text=text)
    with pytest.raises(ValueError, match="description is not valid"):
        read_model(path)


def test_description_is_not_parsed_before_the_checksum_matched(path, monkeypatch):
    forge(path, description_text='{"a": 1}', checksum="0" * 64)
    texts, parse = [], _files._parse_object
    monkeypatch.setattr(_files, "_parse_object", lambda text: texts.append(text) or parse(text))
    with pytest.raises(ValueError, match="checksum"):
        read_model(path)
    assert '{"a": 1}' not in texts
    assert len(texts) == 1  # the header


def test_file_that_shrinks_while_it_is_read_is_refused(path, monkeypatch):
    write_model(path, {}, {"x": np.ones(100_000)})
    read_header = _files._read_header

    def read_header_then_cut(*arguments):
        result = read_header(*arguments)
        os.truncate(path, 5000)
        return result

    monkeypatch.setattr(_files, "_read_header", read_header_then_cut)
    with pytest.raises(ValueError, match="cut off within tensor 'x'"):
        read_model(path)


# --- writes that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt(), MemoryError()])
def test_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, function, error):
    write_model(path, DESCRIPTION, TENSORS)
    before = path.read_bytes()

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(type(error)):
            write_model(path, {}, {})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_temporary_file_of_somebody_else_is_left_alone(path, monkeypatch):
    monkeypatch.setattr(_files.os, "urandom", bytes)
    other = path.parent / f".fastnn-{os.getpid()}-{'0' * 16}.tmp"
    other.write_bytes(b"not ours")
    with pytest.raises(FileExistsError):
        write_model(path, {}, {})
    assert other.read_bytes() == b"not ours"
    assert not path.exists()


def test_write_interrupted_between_tensors_leaves_nothing(path, monkeypatch):
    pieces = _files._pieces
    n_calls = 0

    def interrupted(array):
        nonlocal n_calls
        n_calls += 1
        if n_calls > len(TENSORS) + 1:  # the checksum took one call a tensor
            raise KeyboardInterrupt
        return pieces(array)

    monkeypatch.setattr(_files, "_pieces", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_model(path, {}, TENSORS)
    assert list(path.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_full_disk_gives_oserror_and_leaves_the_old_file(path):
    write_model(path, DESCRIPTION, TENSORS)
    before = path.read_bytes()
    code = (
        "import resource, sys, numpy as np\n"
        "from fastnn._files import write_model\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    write_model(sys.argv[1], {}, {'x': np.ones(100_000)})\n"
        "except OSError as error:\n    print('errno', error.errno)\n"
    )
    result = run(code, path)
    assert result.stdout.startswith("errno"), result.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory")
def test_reading_needs_memory_for_one_copy_and_without_it_gives_memoryerror(path):
    write_model(path, {}, {"x": np.zeros(16_000_000)})  # 122 MiB
    code = (
        "import resource, sys\n"
        "import fastnn._files as files, hashlib\n"
        "in_use = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "for spare in (64, 200):\n"
        "    limit = in_use + spare * 2**20\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))\n"
        "    try:\n        files.read_model(sys.argv[1])\n"
        "    except MemoryError:\n        print('MemoryError')\n"
        "    else:\n        print('loaded')\n"
    )
    result = run(code, path)
    assert result.stdout.split() == ["MemoryError", "loaded"], result.stderr


def run(code, path):
    root = Path(_files.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_file_replaced_while_it_is_read_is_read_to_its_end(path, monkeypatch):
    write_model(path, {"value": "old"}, {"x": np.zeros(3)})
    read_header = _files._read_header

    def replace_then_read_header(*arguments):
        monkeypatch.undo()
        write_model(path, {"value": "new"}, {"x": np.ones(3)})
        return read_header(*arguments)

    monkeypatch.setattr(_files, "_read_header", replace_then_read_header)
    description, tensors = read_model(path)
    assert description == {"value": "old"}
    assert tensors["x"].tolist() == [0, 0, 0]
    assert read_model(path)[0] == {"value": "new"}


def test_reader_meets_the_old_model_or_the_new_one_never_a_mixture(path):
    def save(value):
        write_model(path, {"value": value}, {"x": np.full(2000 + value % 7, value)})

    save(0)
    stop = threading.Event()

    def save_on_and_on():
        value = 0
        while not stop.is_set():
            value += 1
            save(value)

    writer = threading.Thread(target=save_on_and_on)
    writer.start()
    try:
        for _ in range(200):
            description, tensors = read_model(path)
            assert (tensors["x"] == description["value"]).all()
    finally:
        stop.set()
        writer.join()
