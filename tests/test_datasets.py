"""Data sets: what they hold, that they repeat, and that damage is refused."""

import gzip
import os
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnn
from fastnn import datasets
from fastnn.datasets import idx

GENERATORS = [
    datasets.make_flower,
    datasets.make_halves,
    datasets.make_moons,
    datasets.make_circles,
    datasets.make_spirals,
]


def assert_equal_arrays(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- digits -------------------------------------------------------------------------------------


def test_digits_have_the_documented_shapes_types_and_ranges():
    X, y = datasets.load_digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float32
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    np.testing.assert_array_equal(np.unique(X), np.arange(17) / 16)


def test_digits_have_the_class_counts_of_the_source():
    _, y = datasets.load_digits()
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(np.bincount(y), counts)


def test_first_digit_is_the_zero_of_the_source():
    X, y = datasets.load_digits()
    zero = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]
    np.testing.assert_array_equal(X[0].reshape(8, 8) * 16, zero)
    assert y[0] == 0


def test_changing_loaded_digits_leaves_the_next_load_alone():
    X, y = datasets.load_digits()
    X[:], y[:] = 9, 9
    again, labels = datasets.load_digits()
    assert again.max() == 1
    assert labels[0] == 0


# --- points in the plane ------------------------------------------------------------------------


def test_flower_has_the_numbers_of_the_course():
    # Recorded from the recipe run under numpy.random.seed(1) on the global generator.
    X, y = datasets.make_flower()
    np.testing.assert_allclose(X[0], [1.204442292254319, 3.5761141481288448], rtol=1e-13)
    np.testing.assert_allclose(X[-1], [0.7307808250007513, 3.0683292081876545], rtol=1e-13)
    assert y.tolist() == [0] * 200 + [1] * 200


def test_flower_follows_its_formula_draw_by_draw():
    random = np.random.RandomState(1)
    expected = np.zeros((400, 2))
    for label in (0, 1):
        rows = slice(200 * label, 200 * (label + 1))
        t = np.linspace(label * 3.12, (label + 1) * 3.12, 200)
        t = t + random.standard_normal(200) * 0.2
        r = 4 * np.sin(4 * t) + random.standard_normal(200) * 0.2
        expected[rows, 0] = r * np.sin(t)
        expected[rows, 1] = r * np.cos(t)
    np.testing.assert_array_equal(datasets.make_flower()[0], expected)


@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.parametrize("n_samples", [2, 5, 100])
def test_points_come_class_by_class_as_equal_as_can_be(make, n_samples):
    X, y = make(n_samples)
    assert X.shape == (n_samples, 2)
    assert X.dtype == np.float64
    assert np.isfinite(X).all()
    assert y.dtype == np.int64
    assert y.tolist() == [0] * ((n_samples + 1) // 2) + [1] * (n_samples // 2)


@pytest.mark.parametrize("make", GENERATORS)
def test_points_repeat_with_the_seed_and_differ_without(make):
    assert_equal_arrays(make(50, seed=3), make(50, seed=3))
    assert (make(50, seed=3)[0] != make(50, seed=4)[0]).any()
    assert (make(50, seed=None)[0] != make(50, seed=None)[0]).any()


def test_moons_without_noise_lie_on_half_circles():
    X, y = datasets.make_moons(101, noise=0)
    upper, lower = X[y == 0], X[y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1)
    assert upper[:, 1].min() > -1e-12
    assert lower[:, 1].max() < 0.5 + 1e-12


def test_halves_without_noise_lie_on_their_sides_of_the_diagonal():
    X, y = datasets.make_halves(1001, noise=0)
    np.testing.assert_array_equal(y, X.sum(axis=1) > 0)
    assert np.abs(X).max() <= 1
    np.testing.assert_allclose(X[y == 1].mean(axis=0), 1 / 3, atol=5 * 0.47 / np.sqrt(500))


def test_circles_without_noise_have_their_radii():
    X, y = datasets.make_circles(101, noise=0, factor=0.3)
    np.testing.assert_allclose(np.hypot(*X.T), np.where(y == 0, 1, 0.3))
    assert len(np.unique(X.round(9), axis=0)) == 101


def test_spirals_without_noise_are_one_arm_rotated():
    X, y = datasets.make_spirals(90, noise=0, n_classes=3)
    first = X[y == 0] @ [1, 1j]
    np.testing.assert_allclose(abs(first), np.linspace(0, 1, 30), atol=1e-12)
    for label in (1, 2):
        turned = first * np.exp(2j * np.pi * label / 3)
        np.testing.assert_allclose(X[y == label] @ [1, 1j], turned, atol=1e-12)


@pytest.mark.parametrize("make", GENERATORS[1:])
def test_noise_has_the_given_standard_deviation(make):
    offsets = make(20_000, noise=0.2)[0] - make(20_000, noise=0)[0]
    # The standard error of a standard deviation over n values is sigma / sqrt(2 n).
    assert offsets.std() == pytest.approx(0.2, abs=5 * 0.2 / np.sqrt(2 * offsets.size))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": -3}, ValueError, r"n_samples must be a positive integer of .*, got -3"),
        ({"n_samples": 2**62}, ValueError, "n_samples must be a positive integer of at most"),
        ({"n_samples": 10**30}, ValueError, "n_samples must be a positive integer of at most"),
        ({"n_samples": 1}, ValueError, "n_samples must be at least 2"),
        ({"n_samples": 2.0}, TypeError, "n_samples must be a positive integer"),
        ({"n_samples": True}, TypeError, "n_samples must be a positive integer"),
        ({"seed": -1}, ValueError, "seed must be a"),
        ({"seed": "1"}, TypeError, "seed must be a non-negative integer"),
    ],
)
@pytest.mark.parametrize("make", GENERATORS)
def test_bad_arguments_are_named(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


def test_seed_beyond_the_legacy_generator_is_named():
    with pytest.raises(ValueError, match=r"seed must be a non-negative integer below 4294967296"):
        datasets.make_flower(seed=2**32)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_bad_noise_and_factor_are_named(value):
    for make in GENERATORS[1:]:
        with pytest.raises(ValueError, match="noise must be a number"):
            make(noise=value)
    with pytest.raises(ValueError, match="factor must be a number"):
        datasets.make_circles(factor=value)
    with pytest.raises(TypeError, match="noise must be a number"):
        datasets.make_moons(noise="0.1")
    with pytest.raises(ValueError, match="n_classes must be a positive integer"):
        datasets.make_spirals(n_classes=0)


# --- random state -------------------------------------------------------------------------------


def test_global_random_state_is_neither_written_nor_read():
    def everything():
        points = [array for make in GENERATORS for array in make(20)]
        return points + list(datasets.train_test_split(np.arange(20), np.arange(20)))

    def state():
        return np.random.get_state(legacy=False)["state"]  # noqa: NPY002

    np.random.seed(5)  # noqa: NPY002
    before = state()
    first = everything()
    after = state()
    np.testing.assert_array_equal(before["key"], after["key"])
    assert before["pos"] == after["pos"]
    np.random.seed(6)  # noqa: NPY002
    assert_equal_arrays(everything(), first)


# --- IDX ----------------------------------------------------------------------------------------

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    code = IDX_CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images-idx3-ubyte"


@settings(max_examples=60, deadline=None)
@given(
    array=st.sampled_from(list(IDX_CODES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    ),
    compressed=st.booleans(),
)
def test_idx_comes_back_bit_for_bit_in_native_order(tmp_path_factory, array, compressed):
    path = tmp_path_factory.getbasetemp() / "array.idx"
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if compressed else content)
    result = datasets.read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    assert result.shape == array.shape
    assert result.tobytes() == array.tobytes()
    assert result.flags.writeable


def test_idx_of_the_format_description_is_read(path):
    path.write_bytes(bytes.fromhex("00000b02 00000002 00000003 0001 0002 0003 fffe 0100 7fff"))
    result = datasets.read_idx(str(path))
    np.testing.assert_array_equal(result, [[1, 2, 3], [-2, 256, 32767]])
    assert result.dtype == np.int16


def test_idx_in_several_gzip_members_is_read(path):
    array = np.arange(1000, dtype=np.int32)
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content[:700]) + gzip.compress(content[700:]))
    np.testing.assert_array_equal(datasets.read_idx(path), array)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_idx_cut_anywhere_or_extended_is_refused(path, compress):
    intact = compress(idx_bytes(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
    for damaged in [intact[:size] for size in range(len(intact))] + [intact + b"x"]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="images-idx3-ubyte' as IDX"):
            datasets.read_idx(path)


def test_gzip_that_holds_too_little_or_too_much_is_refused(path):
    content = idx_bytes(np.arange(100, dtype=np.float32))
    path.write_bytes(gzip.compress(content[:-1]))
    with pytest.raises(ValueError, match="promises 400 bytes of data, it holds 399"):
        datasets.read_idx(path)
    path.write_bytes(gzip.compress(content + b"x"))
    with pytest.raises(ValueError, match="promises 400 bytes of data, it holds more"):
        datasets.read_idx(path)


def test_every_flipped_bit_of_a_gzip_is_refused_or_harmless(path):
    array = np.arange(40, dtype=np.uint8)
    intact = gzip.compress(idx_bytes(array))
    n_refused = 0
    for bit in range(len(intact) * 8):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            result = datasets.read_idx(path)
        except ValueError:
            n_refused += 1
        else:
            np.testing.assert_array_equal(result, array)
    assert n_refused > 4 * len(intact)


def test_idx_that_shrinks_while_it_is_read_is_refused(path, monkeypatch):
    path.write_bytes(idx_bytes(np.arange(100, dtype=np.uint8)))
    monkeypatch.setattr(idx, "_check_length", lambda file, n_bytes: os.truncate(path, 50))
    with pytest.raises(ValueError, match="changed while it was read"):
        datasets.read_idx(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\x0e\x02\0\x80\0\0\0\x80\0\0",  # more dimensions and numbers
        b"\0\0\x0d\x01\0\0\0\x64",  # the same shape of another type
    ],
)
def test_idx_that_becomes_another_while_it_is_read_is_refused(path, monkeypatch, content):
    """What is allocated is what was compared with the length of the file."""
    path.write_bytes(idx_bytes(np.arange(100, dtype=np.uint8)))
    monkeypatch.setattr(idx, "_check_length", lambda file, n_bytes: path.write_bytes(content))
    with pytest.raises(ValueError, match="images-idx3-ubyte' as IDX: it changed while it was read"):
        datasets.read_idx(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX header"),
        (b"\0\0\x08", "no IDX header"),
        (b"\x89PNG\r\n\x1a\n", "no IDX header"),
        (b"\0\0\x0a\x01\0\0\0\0", "no IDX header"),
        (b"\0\0\x08\x03\0\0\0\1\0\0\0\1", "cut off within the sizes of its 3 dimensions"),
        (b"\0\0\x08\x01\xff\xff\xff\xff", "promises 4294967295 bytes of data, it holds 0"),
        (b"\0\0\x0e\x04" + b"\xff" * 16, "promises"),
        (b"\0\0\x08\xff" + b"\0" * 4 * 255, "NumPy has no arrays of its shape"),
        (b"\0\0\x08\x04" + b"\xff" * 12 + b"\0" * 4, "NumPy has no arrays of its shape"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_what_is_no_idx_is_refused_with_the_reason(path, content, message, compress):
    path.write_bytes(compress(content))
    with pytest.raises(ValueError, match=message):
        datasets.read_idx(path)


def test_idx_errors_of_the_operating_system_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError):
        datasets.read_idx(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        datasets.read_idx(tmp_path)
    with pytest.raises(TypeError, match="path must be a str"):
        datasets.read_idx(0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_idx_from_a_pipe_is_refused(path):
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a regular file"):
        datasets.read_idx(path)


# --- folders of images --------------------------------------------------------------------------


@pytest.fixture
def image_folder(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pets"
    colours = {"dogs/b.png": (255, 0, 51), "dogs/a.jpg": (0, 0, 0), "cats/x.png": (0, 102, 255)}
    for name, colour in colours.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 7), colour).save(file)
    (folder / "notes.txt").write_text("beside the classes")
    (folder / ".cache").mkdir()
    (folder / "cats" / ".DS_Store").write_bytes(b"hidden")
    (folder / "cats" / "more").mkdir()
    return folder


def test_image_folder_gives_sorted_classes_and_scaled_pixels(image_folder):
    X, y, class_names = datasets.read_image_folder(image_folder, size=(4, 5))
    assert class_names == ["cats", "dogs"]
    assert y.tolist() == [0, 1, 1]
    assert y.dtype == np.int64
    assert X.dtype == np.float32
    expected = np.array([(0, 102, 255), (0, 0, 0), (255, 0, 51)], np.float32) / 255
    np.testing.assert_array_equal(X.reshape(3, 20, 3), np.repeat(expected[:, None], 20, axis=1))


def test_classes_and_images_are_in_the_order_of_their_names(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    names = ["m", "a", "z", "10", "2", "B", "é"]
    for class_name in names:
        (tmp_path / class_name).mkdir()
        for name in names:
            grey = sorted(names).index(name)
            Image.new("L", (1, 1), grey).save(tmp_path / class_name / f"{name}.png")
    X, _, class_names = datasets.read_image_folder(tmp_path, (1, 1))
    assert class_names == sorted(names)
    assert np.rint(X[:, 0] * 255).tolist() == list(range(len(names))) * len(names)


def test_image_rows_run_along_the_width_in_c_order(image_folder):
    Image = pytest.importorskip("PIL.Image")
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(pixels).save(image_folder / "cats" / "x.png")
    X, _, _ = datasets.read_image_folder(str(image_folder), size=(2, 3))
    np.testing.assert_array_equal(X[0], np.arange(18, dtype=np.float32) / 255)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_other_colour_modes_become_rgb(image_folder, mode):
    Image = pytest.importorskip("PIL.Image")
    (image_folder / "cats" / "x.png").unlink()
    Image.new("RGB", (6, 6), "white").convert(mode).save(image_folder / "cats" / "x.tif")
    X, _, _ = datasets.read_image_folder(image_folder, size=(2, 2))
    np.testing.assert_array_equal(X[0], np.ones(12))


def test_photograph_taken_sideways_is_turned_upright(image_folder):
    Image = pytest.importorskip("PIL.Image")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the first row of the file is the right-hand side
    sideways = Image.new("RGB", (2, 1))
    sideways.putpixel((0, 0), (255, 255, 255))
    sideways.save(image_folder / "cats" / "x.png", exif=exif)
    X, _, _ = datasets.read_image_folder(image_folder, size=(2, 1))
    np.testing.assert_array_equal(X[0], [1, 1, 1, 0, 0, 0])


def test_default_image_size_is_that_of_the_course(image_folder):
    assert datasets.read_image_folder(image_folder)[0].shape == (3, 64 * 64 * 3)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_unreadable_image_is_named(image_folder, content):
    (image_folder / "dogs" / "broken.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.png' as an image") as caught:
        datasets.read_image_folder(image_folder)
    assert "BufferedReader" not in str(caught.value)


def test_image_cut_off_is_named(image_folder):
    Image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    file = image_folder / "dogs" / "cut.png"
    Image.fromarray(random.integers(0, 256, (50, 50, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"cut\.png' as an image"):
        datasets.read_image_folder(image_folder)


def test_missing_folder_missing_classes_and_empty_class_are_refused(image_folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        datasets.read_image_folder(tmp_path / "missing")
    with pytest.raises(NotADirectoryError):
        datasets.read_image_folder(image_folder / "notes.txt")
    with pytest.raises(ValueError, match=r"there is none in .*dogs"):
        datasets.read_image_folder(image_folder / "dogs")
    (image_folder / "birds").mkdir()
    with pytest.raises(ValueError, match=r"there is none in .*birds"):
        datasets.read_image_folder(image_folder)
    with pytest.raises(TypeError, match="path must be a str"):
        datasets.read_image_folder(None)


def test_a_bare_size_is_a_square(image_folder):
    for bare, pair in ((5, (5, 5)), (np.int64(3), (3, 3))):
        X, _, _ = datasets.read_image_folder(image_folder, bare)
        assert X.shape == (3, bare * bare * 3)
        np.testing.assert_array_equal(X, datasets.read_image_folder(image_folder, pair)[0])
        image = datasets.read_image(image_folder / "dogs" / "b.png", bare)
        np.testing.assert_array_equal(image, X[2:])


BAD_SIZES = [
    ((1, 2, 3), TypeError, r"size must be \(height, width\) or an integer, got \(1, 2, 3\)"),
    ("64", TypeError, "size must be"),
    (None, TypeError, "size must be"),
    (True, TypeError, "size must be"),
    (64.0, TypeError, "size must be"),
    ((64, 64.0), TypeError, "width in size must be a positive integer"),
    ((0, 4), ValueError, "height in size must be a positive integer"),
    (-4, ValueError, "height in size must be a positive integer"),
    (10**30, ValueError, "height in size must be a positive integer"),
    ((2**16, 2**16), ValueError, r"size must be at most .* pixels, got \(65536, 65536\)"),
]


@pytest.mark.parametrize(("size", "error", "message"), BAD_SIZES)
def test_bad_image_size_is_refused(image_folder, size, error, message):
    with pytest.raises(error, match=message):
        datasets.read_image_folder(image_folder, size)
    with pytest.raises(error, match=message):
        datasets.read_image(image_folder / "dogs" / "b.png", size)


def test_an_image_of_ones_own_is_laid_out_like_those_of_a_folder(image_folder):
    X, y, _ = datasets.read_image_folder(image_folder, size=(4, 5))
    for row, name in enumerate(["cats/x.png", "dogs/a.jpg", "dogs/b.png"]):
        image = datasets.read_image(image_folder / name, size=(4, 5))
        assert image.dtype == np.float32
        assert image.shape == (1, 60)
        np.testing.assert_array_equal(image, X[row : row + 1])
    net = fastnn.Network.from_sizes([60, 1], seed=0)
    net.fit(X, y, epochs=1)
    assert net.predict(datasets.read_image(str(image_folder / "dogs" / "b.png"), (4, 5))).size == 1
    assert datasets.read_image(image_folder / "dogs" / "b.png").shape == (1, 64 * 64 * 3)


def test_an_image_that_cannot_be_read_is_named(image_folder):
    with pytest.raises(ValueError, match=r"cannot read '.*notes\.txt' as an image"):
        datasets.read_image(image_folder / "notes.txt")
    with pytest.raises(FileNotFoundError):
        datasets.read_image(image_folder / "missing.png")
    with pytest.raises(TypeError, match="path must be a str"):
        datasets.read_image(3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_an_image_from_a_pipe_is_refused(image_folder):
    os.mkfifo(image_folder / "cats" / "y.png")
    with pytest.raises(ValueError, match=r"y\.png.*not a regular file"):
        datasets.read_image(image_folder / "cats" / "y.png")
    with pytest.raises(ValueError, match=r"y\.png.*not a regular file"):
        datasets.read_image_folder(image_folder)


def test_a_stray_file_is_named_and_left_out(image_folder):
    intact, y, names = datasets.read_image_folder(image_folder, 4)
    (image_folder / "cats" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0 no image")
    (image_folder / "dogs" / "about.txt").write_text("dogs")
    with pytest.warns(UserWarning, match="left out") as caught:
        X, y_left, names_left = datasets.read_image_folder(image_folder, 4)
    assert [str(warning.message) for warning in caught] == [
        f"left out {str(image_folder / name)!r}, which is no image"
        for name in ("cats/Thumbs.db", "dogs/about.txt")
    ]
    assert all(warning.filename == __file__ for warning in caught)
    np.testing.assert_array_equal(X, intact)
    np.testing.assert_array_equal(y_left, y)
    assert names_left == names
    (image_folder / "cats" / "x.png").unlink()
    (image_folder / "dogs" / "about.txt").unlink()
    with (
        pytest.warns(UserWarning, match="Thumbs"),
        pytest.raises(ValueError, match=r"every class needs an image, there is none in .*cats"),
    ):
        datasets.read_image_folder(image_folder, 4)


def test_an_image_of_another_name_is_read(image_folder):
    (image_folder / "dogs" / "b.png").rename(image_folder / "dogs" / "b.holiday")
    assert len(datasets.read_image_folder(image_folder, 4)[0]) == 3


def test_missing_pillow_names_the_extra(image_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = (
        r"^Pillow is not installed; the extra 'images' brings it: pip install '\.\[images\]' in a "
        "copy of fastnn's sources$"
    )
    with pytest.raises(ImportError, match=message):
        datasets.read_image_folder(image_folder)
    with pytest.raises(ImportError, match=message):
        datasets.read_image(image_folder / "dogs" / "b.png")


# --- train_test_split ---------------------------------------------------------------------------


def test_split_keeps_rows_together_and_loses_none():
    X = np.arange(20).reshape(10, 2)
    X_train, X_test, y_train, y_test = datasets.train_test_split(X, np.arange(10), 0.3)
    assert X_test.shape == (3, 2)
    assert X_train.shape == (7, 2)
    np.testing.assert_array_equal(X_train[:, 0], 2 * y_train)
    np.testing.assert_array_equal(X_test[:, 0], 2 * y_test)
    assert sorted([*y_train, *y_test]) == list(range(10))


def test_split_shuffles_as_the_seed_says():
    data = np.arange(100)
    one, same, other = (datasets.train_test_split(data, data, seed=seed) for seed in (1, 1, 2))
    assert_equal_arrays(one, same)
    assert (one[1] != other[1]).any()
    assert (one[0] != np.sort(one[0])).any()


@pytest.mark.parametrize(
    ("test_size", "n_test"), [(0.1, 3), (0.5, 15), (7, 7), (np.int64(7), 7), (np.float32(0.1), 3)]
)
def test_split_takes_a_fraction_or_a_number(test_size, n_test):
    parts = datasets.train_test_split(np.zeros((30, 2), np.float32), [0] * 30, test_size)
    assert [len(part) for part in parts] == [30 - n_test, n_test] * 2
    assert parts[0].dtype == parts[1].dtype == np.float32


def test_split_gives_copies():
    X = np.zeros((10, 1))
    X_train, X_test, _, _ = datasets.train_test_split(X, np.zeros(10))
    X_train[:] = X_test[:] = 1
    assert not X.any()


@pytest.mark.parametrize(
    ("test_size", "error"),
    [
        (0, ValueError),
        (10, ValueError),
        (-1, ValueError),
        (0.0, ValueError),
        (1.0, ValueError),
        (0.01, ValueError),
        (0.99, ValueError),
        (float("nan"), ValueError),
        ("0.2", TypeError),
        (True, TypeError),
    ],
)
def test_split_refuses_a_size_that_leaves_one_side_empty(test_size, error):
    with pytest.raises(error, match="test_size"):
        datasets.train_test_split(np.zeros(10), np.zeros(10), test_size)


def test_split_refuses_what_is_no_array():
    with pytest.raises(ValueError, match=r"X must be an array, got list: .*inhomogeneous"):
        datasets.train_test_split([[1, 2], [3]], [0, 1])


@pytest.mark.parametrize(("X", "y"), [([1, 2, 3], [1, 2]), (1, [1]), ([1], 1)])
def test_split_refuses_different_lengths(X, y):
    with pytest.raises(ValueError, match="X and y must have one row a sample"):
        datasets.train_test_split(X, y)
