"""The same mathematics twice, for reading, testing and racing.

`loops` is plain Python, one number at a time; `vectorized` is NumPy, one matrix product per layer
and role. Both have the same names in the same order, to be read side by side.

A function that is a formula has that formula as its docstring. What the arguments of such functions
are is said at the head of their file, with an example.
"""

from fastnn.reference import loops, vectorized

__all__ = ["loops", "vectorized"]
