"""What a diagnosis says of a network: a sentence, its evidence, and the next thing to try."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastnn.history import format_number

#: Every verdict there is, in the order in which a cause makes those behind it mean less.
VERDICTS = (
    "too little data",
    "leaking column",
    "no signal",
    "inputs not scaled",
    "targets not scaled",
    "suspicious labels",
    "imbalanced classes",
    "rate too high",
    "rate too low",
    "dead units",
    "unlucky start",
    "bias",
    "too few epochs",
    "variance",
    "irreducible error",
    "all well",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was found out about a network.

    Attributes
    ----------
    verdict : str
        One of ``fastnn.diagnosis.VERDICTS``: a name to compare with.
    sentence : str
        What was found.
    evidence : dict of str to float
        What it rests on: by name what was measured, and what that was compared with. Errors are
        those of `fastnn.Diagnosis`.
    advice : str
        The next thing to try.
    rows : tuple of int
        Rows of X that the finding is about, the most important first; none for most verdicts.
    columns : tuple of int
        Columns of X that it is about; none for most verdicts.

    Examples
    --------
    >>> from fastnn.diagnosis import Finding
    >>> print(Finding("bias", "It is too small.", {"training error": 0.25}, "Take more units."))
    bias: It is too small.
      Evidence: training error 0.2500
      Next: Take more units.
    """

    verdict: str
    sentence: str
    evidence: dict[str, float]
    advice: str
    rows: tuple[int, ...] = field(default=(), repr=False)
    columns: tuple[int, ...] = field(default=(), repr=False)

    @property
    def evidence_text(self) -> str:
        """The evidence in one line."""
        return ", ".join(
            f"{name} {value:,.0f}" if name.startswith("number of") else
            f"{name} {format_number(value)}"
            for name, value in self.evidence.items()
        )  # fmt: skip

    def __str__(self) -> str:
        return (
            f"{self.verdict}: {self.sentence}\n  Evidence: {self.evidence_text}\n"
            f"  Next: {self.advice}"
        )
