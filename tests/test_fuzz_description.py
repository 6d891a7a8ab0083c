"""The fuzzer of model files finds no harm in some hundred files, and would find it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from fastnn import Network, _state

# At the end, so that an installed fastnn is found before the one beside bench.
sys.path.append(str(Path(__file__).parents[1]))

from bench import fuzz_description


def results(n: int, folder: Path) -> dict[str, int]:
    return dict(fuzz_description.run_cases(0, n, 5, folder, lambda number: None))


def test_wild_files_do_no_harm(tmp_path: Path) -> None:
    counts = results(400, tmp_path)
    assert counts.pop("HARM", 0) == 0
    assert counts["refused"] > 100
    assert counts["loaded, trained"] > 20


def test_harm_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unchecked(value: Any, *_: Any) -> Any:
        return value

    monkeypatch.setattr(_state, "integer", unchecked)
    assert results(800, tmp_path)["HARM"] > 0
    assert "case " in capsys.readouterr().err


def test_crash_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "import os, sys; open(sys.argv[2] + '/3.at', 'wb').write(bytes([5, *[0] * 7])); "
    monkeypatch.setattr(
        fuzz_description,
        "child_command",
        lambda first, end, seed, folder: (
            [sys.executable, "-c", program + "os.abort()", "x", str(folder)]
            if first == 3
            else [sys.executable, "-c", "print('{\"refused\": 2}')"]
        ),
    )
    counts = fuzz_description.watch(3, 8, 0, tmp_path)
    assert counts["HARM"] == 1
    assert counts["refused"] == 2
    assert "case 5: the process ended" in capsys.readouterr().err


def test_slow_and_greedy_loads_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Network.load
    hoard: list[Any] = []

    def greedy(path: Any) -> Network:
        hoard.append(bytearray(40 << 20))
        return load(path)

    monkeypatch.setattr(Network, "load", greedy)
    with pytest.raises(fuzz_description.HarmError, match="bytes of memory"):
        fuzz_description.judge(0, 5, fuzz_description.real_cases(), tmp_path)
    monkeypatch.setattr(Network, "load", load)
    monkeypatch.setattr(fuzz_description, "LONGEST", 0.0)
    with pytest.raises(fuzz_description.HarmError, match="load took"):
        fuzz_description.judge(0, 5, fuzz_description.real_cases(), tmp_path)
