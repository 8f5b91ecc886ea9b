"""Graphs explained: staged code, steps with their sentences, formulas."""
