"""Measurements: one script a question. Timings live here, never in the tests."""
