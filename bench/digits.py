"""Is fastnn on one thread at least 5 times as fast as NumPy, and 1,000 times as pure Python?

Measured on the digits' 64-32-10 network at batch size 32, by the race of ``fastnn bench``: float32,
pure Python in float64. Exit code 1 if not.
"""

import sys

import fastnn
from fastnn import race
from fastnn.contestants import contestants

BARS = {"NumPy reference": 5, "pure Python": 1000}


def main() -> int:
    field = [c for c in contestants() if c.name in ("fastnn, 1 thread", *BARS)]
    result = race.run("digits", field, seconds=20, peak=fastnn.config.fma_peak(), n_rounds=7)
    print(race.table(result))
    ratios = {r.contestant: r.ratio for r in result.results}
    for name, bar in BARS.items():
        print(f"{name}: takes {ratios[name]:.1f} times as long as fastnn; the bar is {bar}")
    return int(any(ratios[name] < bar for name, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
