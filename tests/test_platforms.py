"""What differs between platforms is in one place, and every platform has its wheels."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench.platforms.programs import FLAGS_OF_ISAS, differences, digests

PROJECT = Path(__file__).parent.parent
NAMES = re.compile(r"pthread|posix|unistd|windows\.h|_WIN32|__APPLE__|__linux__", re.IGNORECASE)


def cibuildwheel() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    return dict(settings["cibuildwheel"])


def test_one_header_alone_names_operating_systems() -> None:
    compiled = [*PROJECT.glob("csrc/*.[ch]"), *PROJECT.glob("fastnn/_core/*.p[yx][xd]")]
    naming = {path.name for path in compiled if NAMES.search(path.read_text())}
    assert naming == {"system.h"}
    assert len(compiled) > 60


def test_every_isa_of_the_bench_has_its_kernels() -> None:
    files = {path.stem for path in PROJECT.glob("csrc/*_f32.c")}
    assert files == {f"{isa}_f32" for isa in FLAGS_OF_ISAS}


def test_other_digests_are_named() -> None:
    here = digests("baseline f32 products 1\navx2 f32 products 2\nteam of 9\n")
    assert differences(here, here, fused=False) == []
    assert differences(digests("baseline f32 products 2\nteam of 9"), here, fused=True) == []
    assert differences(digests("baseline f32 products 1\nteam of 8"), here, fused=True) == [
        "baseline f32 products",
        "team of",
    ]
    assert differences({}, here, fused=False) == ["nothing was printed"]


def test_wheels_are_built_for_every_platform_and_version() -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((PROJECT / ".github/workflows/wheels.yml").read_text())
    jobs = workflow["jobs"]["wheels"]["strategy"]["matrix"]["include"]
    assert {job["platform"] for job in jobs} == {
        "manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64",
        "macosx_arm64", "macosx_x86_64", "win_amd64",
    }  # fmt: skip
    for job in jobs:
        kind, _, machine = job["platform"].partition("_")
        other = {"manylinux": "*-musllinux_*", "musllinux": "*-manylinux_*"}.get(kind, "")
        assert job["skip"] == other
        assert job["runner"].endswith("-arm") == (machine == "aarch64")
    assert cibuildwheel()["build"] == [f"cp3{n}-*" for n in ("11", "12", "13", "14", "14t")]


def test_what_a_wheel_is_tested_with_is_there() -> None:
    settings = cibuildwheel()
    files = re.findall(r"tests/\S+\.py", settings["test-command"])
    assert files
    assert all((PROJECT / file).exists() for file in files)
    assert settings["test-sources"] == ["tests"]


def test_ci_does_what_contributors_do() -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())
    steps = workflow["jobs"]["run"]["steps"]
    assert steps[-1] == {"run": "bash .ci/run"}
