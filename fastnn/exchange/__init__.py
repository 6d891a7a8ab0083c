"""Networks for other programs: C source."""

from fastnn.exchange.c_source import CSource, to_c

__all__ = ["CSource", "to_c"]
