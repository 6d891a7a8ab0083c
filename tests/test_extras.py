"""What is said where a library of an extra cannot be imported."""

import sys
from pathlib import Path

import pytest

from fastnn._extras import import_extra

REMEDY = "; the extra 'some' brings it: pip install '.[some]' in a copy of fastnn's sources"


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.part"])
def test_a_library_that_is_absent_is_named_with_its_extra(module: str) -> None:
    with pytest.raises(ImportError) as caught:
        import_extra(module, "NoSuch", "some")
    assert str(caught.value) == "NoSuch is not installed" + REMEDY


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_backend", "No module named 'no_such_backend'"),
        ("raise ImportError('two\\nlines')", "two lines"),
    ],
)
def test_one_that_is_broken_is_not_called_absent(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as caught:
        import_extra("broken_library", "Broken", "some")
    assert str(caught.value) == f"Broken cannot be imported ({reason})" + REMEDY


def test_the_module_is_given() -> None:
    assert import_extra("json.decoder", "JSON", "some") is sys.modules["json.decoder"]
