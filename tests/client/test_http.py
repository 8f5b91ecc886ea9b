"""Sending: retries, errors with their node, and what is sent; against a stand-in service."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from gradient_client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    InvalidRequest,
    NotAuthorized,
    NotFound,
    Overloaded,
    ServiceError,
    TooLarge,
    Unreachable,
    Var,
    expression,
)
from gradient_client.tensors import decode, encode

ANSWER = {"output": "f", "value": -12.0, "gradients": {"x": -4.0}}
Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler, **options: Any) -> Client:
    return Client("http://service", transport=httpx.MockTransport(handler), **options)


def problem(status: int, code: str, **members: Any) -> httpx.Response:
    document = {"type": "/problems/x", "title": "T", "status": status, "code": code, "detail": "D"}
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, content=orjson.dumps(document | members), headers=headers)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr("gradient_client.http.time.sleep", slept.append)
    return slept


def test_a_gradient_is_one_post_and_reads_as_numpy() -> None:
    seen: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, orjson.loads(request.content)))
        assert request.headers["content-type"] == "application/json"
        assert request.headers["authorization"] == "Bearer secret"
        gradient = encode(np.array([1.0, np.nan]))
        return httpx.Response(200, json=ANSWER | {"gradients": {"x": gradient}})

    with client_of(handler, api_key="secret") as client:
        answer = client.gradient(Var("x").sum(), {"x": np.array([1.0, 2.0])}, wrt=["x"])
    ((method, path, body),) = seen
    assert (method, path) == ("POST", "/v1/gradient")
    assert body["inputs"]["x"]["data"]["encoding"] == "base64"
    assert body["wrt"] == ["x"]
    assert answer.value == -12.0
    np.testing.assert_array_equal(answer.gradients["x"], [1.0, np.nan])


def test_a_full_service_is_asked_again_after_the_time_it_names(naps: list[float]) -> None:
    answers = iter([503, 503, 200])

    def handler(_: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status == 503:
            response = problem(503, "overloaded")
            response.headers["retry-after"] = "2"
            return response
        return httpx.Response(200, json=ANSWER)

    assert client_of(handler).gradient(expression("x"), {"x": 1}).value == -12.0
    assert len(naps) == 2
    assert all(2.0 <= nap <= 2.2 for nap in naps)


def test_patience_ends(naps: list[float]) -> None:
    with pytest.raises(Overloaded) as caught:
        client_of(lambda _: problem(503, "overloaded"), retries=3).forward(expression("x"))
    assert caught.value.status == 503
    assert len(naps) == 3


def test_a_broken_connection_is_tried_again_and_then_reported(naps: list[float]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Unreachable, match="http://service"):
        client_of(handler, retries=2).forward(expression("x"))
    assert len(naps) == 2


def test_a_wrong_graph_is_not_tried_again_and_names_the_node(naps: list[float]) -> None:
    fault = {
        "code": "shape_mismatch",
        "detail": "no",
        "node": "D",
        "op": "matmul",
        "pointer": "/graph/nodes/2",
        "shapes": [[5, 10], [3, 10]],
        "hint": "transpose?",
    }

    def handler(_: httpx.Request) -> httpx.Response:
        return problem(422, "shape_mismatch", errors=[fault])

    with pytest.raises(InvalidRequest) as caught:
        client_of(handler).forward(expression("W @ X"))
    error = caught.value
    assert (error.code, error.node, error.op) == ("shape_mismatch", "D", "matmul")
    assert error.faults[0].shapes == ((5, 10), (3, 10))
    assert naps == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, NotAuthorized),
        (403, NotAuthorized),
        (404, NotFound),
        (413, TooLarge),
        (422, InvalidRequest),
        (504, DeadlineExceeded),
        (500, ServiceError),
    ],
)
def test_every_status_has_its_exception(status: int, kind: type[ServiceError]) -> None:
    with pytest.raises(ServiceError) as caught:
        client_of(lambda _: problem(status, "c", limit="nodes")).forward(expression("x"))
    assert type(caught.value) is kind
    assert caught.value.limit == "nodes"


def test_a_proxys_page_of_html_is_an_error_too() -> None:
    with pytest.raises(ServiceError) as caught:
        client_of(lambda _: httpx.Response(502, text="<h1>Bad gateway")).forward(expression("x"))
    assert caught.value.status == 502


def test_the_asynchronous_client_has_the_same_calls() -> None:
    answers = iter([503, 200])

    def handler(_: httpx.Request) -> httpx.Response:
        if next(answers) == 503:
            response = problem(503, "overloaded")
            response.headers["retry-after"] = "0"
            return response
        return httpx.Response(200, json=ANSWER)

    async def run() -> float:
        transport = httpx.MockTransport(handler)
        async with AsyncClient("http://service", transport=transport) as client:
            answer = await client.gradient(expression("x"), {"x": 1})
            return float(answer.value)

    assert asyncio.run(run()) == -12.0
    public = {name for name in dir(Client) if not name.startswith("_")}
    assert public == {name for name in dir(AsyncClient) if not name.startswith("_")}


def test_methods_show_their_parameters() -> None:
    assert list(inspect.signature(Client.hvp).parameters) == [
        "self",
        "graph",
        "inputs",
        "vector",
        "dtype",
    ]
    assert "vector" in (Client.hvp.__doc__ or "")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -0.0], [np.nan, np.inf]]),
        np.arange(6, dtype=np.int32).reshape(2, 3).T,
        np.array([True, False]),
        np.array([1.0, 2.0], dtype=">f8"),
        np.zeros((0, 3), dtype=np.float32),
    ],
)
def test_arrays_come_back_bit_for_bit(array: Any) -> None:
    back = decode(encode(array))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.signbit(back).tolist() == np.signbit(array).tolist() if back.dtype.kind == "f" else 1


def test_narrow_and_unsigned_numbers_widen() -> None:
    assert encode(np.zeros(1, np.float16))["dtype"] == "float32"
    assert encode(np.zeros(1, np.uint8))["dtype"] == "int64"


def test_nested_lists_with_the_three_strings_read_as_arrays() -> None:
    np.testing.assert_array_equal(
        decode([[1, "NaN"], ["Infinity", "-Infinity"]]), [[1, np.nan], [np.inf, -np.inf]]
    )


@pytest.mark.parametrize("value", ["text", np.array(["a"]), 1j, np.array([1j]), None])
def test_what_is_not_numeric_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)
