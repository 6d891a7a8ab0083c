"""What is said where a library of an extra cannot be imported, and what is not imported at all."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fastnn import Network
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


def test_training_and_predicting_import_nothing(run_script: Callable[..., str]) -> None:
    """A process that is forked in the middle of another thread's import never gets that module."""
    printed = run_script(
        """
        import sys
        import numpy as np
        from fastnn import Network

        X, y = np.ones((8, 3), np.float32), [0, 1] * 4
        nets = [Network.from_sizes([3, 2, 1], output="sigmoid", seed=0) for _ in "ab"]
        before = set(sys.modules)
        nets[0].fit(X, y, epochs=1, validation_split=0.5)
        nets[0].predict(X)
        nets[1].partial_fit(X.tolist(), y)
        print(sorted(set(sys.modules) - before))
        """
    )
    assert printed.strip() == "[]"


@pytest.mark.parametrize("module", ["numpy.ma", "scipy.sparse"])
def test_a_module_that_another_thread_is_importing_does_not_matter(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its names are not there yet, and nobody has an object of its classes."""
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    net = Network.from_sizes([3, 2, 1], output="sigmoid", seed=0)
    assert net.fit(np.ones((8, 3)), [0, 1] * 4, epochs=1).n_epochs == 1
