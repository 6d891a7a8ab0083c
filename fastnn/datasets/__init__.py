"""Data to try networks on: built in, generated, or read from files."""

from fastnn.datasets.deliveries import table_path
from fastnn.datasets.digits import load_digits
from fastnn.datasets.idx import read_idx
from fastnn.datasets.images import read_image, read_image_folder
from fastnn.datasets.planar import (
    make_circles,
    make_flower,
    make_halves,
    make_moons,
    make_spirals,
)
from fastnn.datasets.split import train_test_split
from fastnn.datasets.streams import parquet, record_batches

__all__ = [
    "load_digits",
    "make_circles",
    "make_flower",
    "make_halves",
    "make_moons",
    "make_spirals",
    "parquet",
    "read_idx",
    "read_image",
    "read_image_folder",
    "record_batches",
    "table_path",
    "train_test_split",
]
