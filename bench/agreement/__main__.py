"""Does fastnn take PyTorch's steps? 100 of them in float64, from the same weights, for each case.

Prints, as a Markdown table, the largest difference of a parameter, of the cost of an epoch and of
an output of the trained network, relative where the number is above 1, and the farthest that a
parameter has gone. "By hand": PyTorch has no such thing, or adds a constant to it; it is written
with tensors. Exit code 1 if a difference is above 1e-8.
"""

import argparse
import sys

import torch

from bench.agreement.cases import CASES
from bench.agreement.twin import N_STEPS, difference

BOUND = 1e-8


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m bench.agreement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    print(f"PyTorch {torch.__version__}, float64, {N_STEPS} steps\n")
    print(f"| {'':<46} | difference | way |")
    print(f"|-{'-' * 46}-|---:|---:|")
    differences = []
    for group, cases in CASES.items():
        print(f"| **{group}**{'':<{42 - len(group)}} | | |")
        for name, case in cases.items():
            found, way = difference(case)
            differences.append(found)
            print(f"| {name:<46} | {found:.1e} | {way:.2g} |", flush=True)
    agree = all(found <= BOUND for found in differences)  # NaN does not
    print(
        f"\n{'ok' if agree else 'MISS'}: the largest of {len(differences)} is "
        f"{max(differences):.1e}, {BOUND:g} allowed"
    )
    return int(not agree)


if __name__ == "__main__":
    sys.exit(main())
