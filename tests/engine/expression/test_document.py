"""docs/source-text.md says what is read and what is refused; this test writes and holds it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from service.engine.compute import forward
from service.engine.expression import MAX_LENGTH, MAX_NESTING, hints, parse_expression, tape
from service.engine.graph import resolve
from service.engine.numpy_compat import SPELLED
from service.engine.program import program_for
from tests.engine.expression import numpy_calls

DOCUMENT = Path(__file__).parents[3] / "docs" / "source-text.md"
MARK = "The rest is written by `python -m tests.engine.expression.test_document`.\n"


def _parameters() -> list[str]:
    """NumPy's parameters that are refused, by function."""
    rows: dict[str, list[str]] = {}
    for name, signature in SPELLED.items():
        refused = [one.theirs for one in signature.by_name.values() if one.ours is None]
        if refused:
            rows.setdefault(", ".join(f"`{one}`" for one in refused), []).append(f"`{name}`")
    return [
        f"| {parameters} | {', '.join(sorted(of))} |" for parameters, of in sorted(rows.items())
    ]


def generated() -> str:
    """What follows the mark."""
    functions = ", ".join(f"`{name}`" for name in numpy_calls.names())
    refused = "\n".join(f"| {what} | {instead} |" for what, instead in numpy_calls.REFUSED.values())
    more = "\n".join(
        f"| {', '.join(f'`{name}`' for name in names.split())} | {what} |"
        for names, what in numpy_calls.MORE_THAN_NUMPY.items()
    )
    syntax = "\n".join(
        f"| {hints.word_of(kind)} | {hint} |" for kind, hint in hints.HINTS.items() if hint
    )
    return f"""
## NumPy's functions

{functions}.

## What is refused of them

Some thousands of calls of all of these are drawn from NumPy's own signatures and asked of NumPy:
none is read otherwise. What NumPy can do and is refused here, by 422 and a hint:

| refused | what to write |
| --- | --- |
{refused}

Parameters that are refused unless they say what is done anyway (`dtype=float`, `order="C"`):

| parameter | of |
| --- | --- |
{chr(10).join(_parameters())}

What NumPy refuses and is read here:

| of | what |
| --- | --- |
{more}

## Syntax that is not read

| syntax | what to write |
| --- | --- |
{syntax}
"""


def test_the_document_follows_the_code() -> None:
    head, mark, rest = DOCUMENT.read_text("utf-8").partition(MARK)
    assert mark, "the line that says who writes the rest"
    assert rest == generated(), "python -m tests.engine.expression.test_document"
    for bound in (MAX_LENGTH, MAX_NESTING, tape.MOST_CONSTANTS):
        assert f"{bound:,}" in head


def test_the_documents_example_is_read() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    draw = np.random.default_rng(0)
    shapes = {"X": (2, 3), "W1": (3, 4), "b1": (4,), "W2": (4, 3), "b2": (3,)}
    inputs = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    inputs["y"] = np.array([0, 2])
    program = program_for(resolve(parse_expression(code)), inputs, "float64")
    space = {"np": np, **inputs}
    exec(code, space)
    assert np.isclose(forward(program, inputs).outputs["loss"], space["loss"])


if __name__ == "__main__":
    head, mark, _ = DOCUMENT.read_text("utf-8").partition(MARK)
    DOCUMENT.write_text(head + mark + generated(), "utf-8")
