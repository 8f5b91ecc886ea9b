"""Tensors drawn entry by entry."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from service.diagrams.build import circuit_of
from service.diagrams.cells import CELL, TILES, cells
from service.diagrams.svg import draw
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for


def drawn(text: str, **inputs: object) -> ElementTree.Element:
    given = {name: np.asarray(value) for name, value in inputs.items()}
    program = program_for(resolve(parse_expression(text)), given)
    return ElementTree.fromstring(draw(circuit_of(program, given, tensors="cells")))


def test_entries_are_parts_of_the_largest_in_size() -> None:
    block = cells(np.array([[1.0, -4.0, 0.0], [2.0, -0.0, 1e-9]]))
    assert block is not None
    assert block.rows == ((0.25, -1.0, 0.0), (0.5, 0.0, 1e-3))
    assert block.size == CELL


def test_what_is_not_finite_is_told_apart() -> None:
    block = cells(np.array([math.inf, math.nan, 2.0]))
    assert block is not None
    assert [math.isnan(share) for share in block.rows[0]] == [True, True, False]
    assert cells(np.full(3, math.nan)) is not None


@pytest.mark.parametrize("shape", [(7, 2), (2, 9), (100, 100), (2, 3, 4), (1, 50_000)])
def test_large_tensors_are_tiles_with_their_norm(shape: tuple[int, ...]) -> None:
    x = np.ones(shape)
    x.flat[0] = -5
    block = cells(x)
    assert block is not None
    assert len(block.rows) <= TILES
    assert max(map(len, block.rows)) <= TILES
    assert block.rows[0][0] == -1.0
    assert block.words.startswith("‖")


def test_scalars_empty_tensors_and_whole_numbers() -> None:
    assert cells(np.float64(3)) is None
    assert cells(np.ones((0, 3))) is None
    block = cells(np.array([0, 2, 1, 0]))
    assert block is not None
    assert (block.rows, block.words) == ((), "0 2 1 0")


def test_labels_given_as_plain_numbers_are_numbers_without_a_gradient() -> None:
    picture = drawn("cross_entropy(s, y)", s=[[1.0, 2.0], [0.0, 1.0]], y=[1.0, 0.0])
    labels = [
        g
        for g in picture.iter()
        if g.get("data-source") == "y" and "label" in (g.get("class") or "")
    ]
    (label,) = labels
    words = ["".join(text.itertext()) for text in label if text.tag.endswith("text")]
    assert "1 0" in words
    assert not [part for part in label.iter() if "gradient" in (part.get("class") or "")]


def test_an_element_is_drawn_as_one_gate() -> None:
    picture = drawn("f = x[0] * x[1:][0]", x=[3.0, 4.0])
    ops = [g.get("data-op") for g in picture.iter() if g.get("data-node")]
    assert ops.count("squeeze") == 2
    texts = ["".join(t.itertext()) for t in picture.iter() if t.tag.endswith("text")]
    assert texts.count("[0]") == 2
    assert "squeeze" not in texts
