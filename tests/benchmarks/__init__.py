"""Benchmarks: every figure is a ratio against a reference that ran in the same minute.

`python -m tests.benchmarks [ROW…] [--rounds N] [--quick]`
"""
