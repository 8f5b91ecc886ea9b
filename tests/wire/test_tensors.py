"""Tensors in: numbers, lists, the three strings, array objects; and what is refused."""

import base64
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.errors import GraphError, LimitExceeded
from service.wire.answers import array_object
from service.wire.tensors import read_tensor


def read(value: Any, limits: Limits = DEFAULT_LIMITS) -> Any:
    return read_tensor(value, "#/inputs/x", limits)


def refusal(value: Any) -> tuple[str, str | None]:
    with pytest.raises(GraphError) as caught:
        read(value)
    (fault,) = caught.value.faults
    assert fault.code == "invalid_tensor"
    return fault.detail, fault.pointer


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2.5, 2.5), (3, 3.0), (True, True), ("Infinity", math.inf), ("-Infinity", -math.inf)],
)
def test_a_scalar_is_a_python_number(value: Any, expected: float | bool) -> None:
    made = read(value)
    assert made == expected
    assert type(made) is type(expected)


def test_nan_is_read_from_its_string() -> None:
    assert math.isnan(read("NaN"))


@pytest.mark.parametrize(
    ("value", "expected", "dtype"),
    [
        ([1, 2], [1.0, 2.0], "float64"),
        ([[1, 2.5], [3, 4]], [[1, 2.5], [3, 4]], "float64"),
        ([True, False], [True, False], "bool"),
        ([], [], "float64"),
        ([[], []], [[], []], "float64"),
        ([2**70, -1], [2.0**70, -1], "float64"),
        ([2**63, 1], [2.0**63, 1], "float64"),
        ([["NaN", 1], [2, "-Infinity"]], [[math.nan, 1], [2, -math.inf]], "float64"),
    ],
)
def test_a_list_is_an_array(value: Any, expected: Any, dtype: str) -> None:
    made = read(value)
    np.testing.assert_array_equal(made, np.array(expected, dtype))
    assert made.dtype == dtype


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([[1, 2], [3]], "/1"),
        ([1, [2]], "/1"),
        ([[1], 2], "/1"),
        ([[[1]], [[1, 2]]], "/1/0"),
        ([1, None], "/1"),
        ([1, "2"], "/1"),
        ([["nan"]], "/0/0"),
        ([{}], "/0"),
        ([1, True], ""),
        ([True, "NaN"], ""),
        ([1, 10**400], "/1"),
        (None, ""),
        ("inf", ""),
        (math.inf, ""),
    ],
)
def test_what_is_no_tensor_is_refused_with_its_place(value: Any, place: str) -> None:
    assert refusal(value)[1] == "#/inputs/x" + place


def test_nesting_is_bounded() -> None:
    value: Any = 1
    for _ in range(33):
        value = [value]
    assert "nested" in refusal(value)[0]


ARRAYS = st.sampled_from(["float64", "float32", "int64", "int32", "bool"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)


@given(ARRAYS)
def test_an_array_object_is_read_as_it_was_written(array: np.ndarray[Any, Any]) -> None:
    import orjson

    made = read(orjson.loads(orjson.dumps(array_object(array))))
    np.testing.assert_array_equal(np.asarray(made), array)
    assert np.asarray(made).dtype == array.dtype
    assert np.shape(made) == array.shape


@given(hnp.arrays("float64", hnp.array_shapes(max_dims=3)))
def test_nested_lists_and_array_objects_mean_the_same(array: np.ndarray[Any, Any]) -> None:
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

    def written(value: Any) -> Any:
        return (
            list(map(written, value)) if isinstance(value, list) else names.get(str(value), value)
        )

    np.testing.assert_array_equal(read(written(array.tolist())), array)


def in_text(buffer: str, shape: list[int], dtype: str = "float64") -> dict[str, Any]:
    return {"shape": shape, "dtype": dtype, "data": {"encoding": "base64", "buffer": buffer}}


def packed(raw: bytes, shape: list[int], dtype: str = "float64") -> dict[str, Any]:
    return in_text(base64.b64encode(raw).decode(), shape, dtype)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (packed(b"\0" * 8, [2]), "/data/buffer"),
        (packed(b"\0" * 8, [-1]), "/shape/0"),
        (packed(b"\0" * 8, [1] * 33), "/shape"),
        (packed(b"\2", [1], "bool"), "/data/buffer"),
        (in_text("AAAAAAAAAA==", [1]), "/data/buffer"),
        (in_text("AAAAAAAA*AA=", [1]), "/data/buffer"),
        (in_text("AAAAAAAA\nAA=", [1]), "/data/buffer"),
        (in_text("AAAAAAAAééé=", [1]), "/data/buffer"),
    ],
)
def test_a_broken_array_object_is_refused_with_its_place(value: Any, place: str) -> None:
    assert refusal(value)[1] == "#/inputs/x" + place


@pytest.mark.parametrize("value", [[1, 2, 3, 4], [[1, 2], [3, 4]], [["NaN"] * 4]])
def test_a_tensor_has_no_more_elements_than_allowed(value: Any) -> None:
    with pytest.raises(LimitExceeded, match="elements_per_tensor"):
        read(value, Limits(elements_per_tensor=3))


def test_the_size_of_an_array_object_is_checked_before_it_is_decoded() -> None:
    with pytest.raises(LimitExceeded):
        read(packed(b"", [2**40, 2**40]))
