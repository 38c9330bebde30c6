"""Measurements beside their figures in the design; ``./run bench`` writes docs/benchmarks.md. Never part of the tests."""
