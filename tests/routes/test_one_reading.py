"""Whatever reads a graph, a tensor or a shape reads it the same way: at every door 4xx, never 500.

Values that a dtype can't hold, shapes that NumPy can't, indices that are no integers, and half
a surrogate pair in any place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from service.app import create_app
from service.http.application import Application
from service.settings import Settings

VALUES = [
    ("int64", '"NaN"'),
    ("int64", "1e30"),
    ("int64", "99999999999999999999"),
    ("int32", "1.5"),
    ("bool", "2"),
    ("float64", "1e999"),
    ("float64", "1" + "0" * 400),
    ("float64", "[[1],[1,2]]"),
    ("float64", "[1,true]"),
    ("float64", '{"a":1}'),
    ("float64", '"\\ud800"'),
    ("float64", "[" * 70 + "1" + "]" * 70),
]
SHAPES = [
    "[0,100000000000000000000]",
    "[0,4611686018427387904,4]",
    "[99999999999999999999]",
    "[" + ",".join(["1"] * 70) + "]",
    "[-2]",
    "[1.7]",
    "[true]",
    "[1e3]",
    '["a"]',
]
NUMBERS = ["1.7", "true", '"0"', "-1", "[]", "1e999", "99999999999999999999", "1" + "0" * 400]
HALF = '"\\udc00x"'
COMPUTE = ("forward", "gradient", "analyze", "explain", "diagram", "check", "jacobian")
DTYPES = ("float64", "int64", "int32", "bool")


def graph(dtype: str = "float64", **members: str) -> str:
    leaf = "".join(f',"{name}":{value}' for name, value in members.items())
    return (
        f'{{"nodes":[{{"id":"x","op":"input","dtype":"{dtype}"{leaf}}},'
        '{"id":"f","op":"mul","inputs":["x",2.5]}],"output":"f"}'
    )


def array(shape: str, encoding: str = "base64", buffer: str = '""') -> str:
    data = f'{{"encoding":"{encoding}","buffer":{buffer}}}'
    return f'{{"object_type":"array","shape":{shape},"dtype":"float64","data":{data}}}'


def with_graph(written: str) -> Iterator[tuple[str, str]]:
    """Every door that reads a graph."""
    for name in (*COMPUTE, "graphs"):
        yield f"/v1/{name}", f'{{"graph":{written}}}'
    yield "/v1/tasks", f'{{"graph":{written}}}'
    yield "/v1/grade", f'{{"graph":{written},"submission":{{}}}}'
    yield "/v1/grade/batch", f'{{"graph":{written},"submissions":[{{}}]}}'
    params = f'{{"params":{{"graph":{written}}}}}'
    yield "/evaluate", f'{{"submission":{{"content":{{}}}},"configuration":{params}}}'
    yield "/umbridge/Evaluate", f'{{"name":"graph","config":{{"graph":{written}}},"input":[[1]]}}'


def with_input(written: str, dtype: str = "float64") -> Iterator[tuple[str, str]]:
    """Every door that reads the value of an input."""
    given = f'"graph":{graph(dtype)},"inputs":{{"x":{written}}}'
    for name in COMPUTE:
        yield f"/v1/{name}", f"{{{given}}}"
    yield "/v1/grade", f'{{{given},"submission":{{}}}}'
    yield "/v1/grade", f'{{"graph":{graph(dtype)},"inputs":{{"x":1}},"more":[{{"x":{written}}}],"submission":{{}}}}'  # fmt: skip  # noqa: E501
    yield "/v1/grade/batch", f'{{{given},"submissions":[{{}}]}}'
    yield "/evaluate", f'{{"submission":{{"content":{{}}}},"configuration":{{"params":{{{given}}}}}}}'  # fmt: skip  # noqa: E501
    yield "/umbridge/InputSizes", f'{{"name":"graph","config":{{{given}}}}}'
    yield f"/tesseract/{dtype}/apply", f'{{"inputs":{{"x":{written}}}}}'
    yield f"/tesseract/{dtype}/abstract_eval", f'{{"inputs":{{"x":{written}}}}}'


def with_shape(shape: str) -> Iterator[tuple[str, str]]:
    """Every door that reads a shape."""
    yield from with_graph(graph(shape=shape))
    yield from with_input(array(shape))
    yield "/v1/analyze", f'{{"graph":{graph()},"shapes":{{"x":{shape}}}}}'
    drawn = f'{{"dist":"normal","shape":{shape}}}'
    yield "/v1/grade", f'{{"graph":{graph()},"inputs":{{"x":{drawn}}},"submission":{{}}}}'
    config = f'{{"graph":{graph()},"shapes":{{"x":{shape}}}}}'
    yield "/umbridge/InputSizes", f'{{"name":"graph","config":{config}}}'
    yield "/tesseract/float64/apply", f'{{"inputs":{{"x":{array(shape, "json", "[]")}}}}}'
    spec = f'{{"shape":{shape},"dtype":"float64"}}'
    yield "/tesseract/float64/abstract_eval", f'{{"inputs":{{"x":{spec}}}}}'
    for op in ("reshape", "broadcast_to"):
        node = f'{{"id":"f","op":"{op}","inputs":["x"],"shape":{shape}}}'
        yield "/v1/gradient", f'{{"graph":{{"nodes":[{{"id":"x","op":"input","value":1}},{node}]}}}}'  # fmt: skip  # noqa: E501


def with_number(number: str) -> Iterator[tuple[str, str]]:
    """Every door that reads an integer."""
    call = '"name":"graph","config":{"graph":' + graph() + '},"input":[[1]],"sens":[1]'
    yield "/umbridge/Gradient", f'{{{call},"outWrt":{number},"inWrt":0}}'
    yield "/umbridge/Gradient", f'{{{call},"outWrt":0,"inWrt":{number}}}'
    given = f'"graph":{graph()},"inputs":{{"x":1}}'
    yield "/v1/gradient-graph", f'{{{given},"order":{number}}}'
    yield "/v1/check", f'{{{given},"seed":{number}}}'
    yield "/v1/grade", f'{{{given},"seed":{number},"submission":{{}}}}'


def with_name(name: str) -> Iterator[tuple[str, str]]:
    """Doors and places where a name may stand, of which none exists."""
    places = (
        f'"graph":{name}',
        f'"graph":{{"expression":{name}}}',
        f'"graph":{{"expression":"x"}},"inputs":{{{name}:1}}',
        f'"graph":{{"expression":"x"}},"inputs":{{"x":1}},"output":{name}',
        f'"graph":{{"expression":"x"}},"inputs":{{"x":1}},{name}:1',
        f'"graph":{{"nodes":[{{"id":{name},"op":"exp","inputs":[{name}]}}]}}',
        f'"task":{name}',
    )
    for place in places:
        for path in ("/v1/gradient", "/v1/tasks", "/v1/graphs"):
            yield path, f"{{{place}}}"
        for format in ("native", "gradescope", "autolab"):
            yield f"/v1/grade?format={format}", f'{{{place},"submission":{{"id":{name}}}}}'
        params = f'{{"params":{{{place}}}}}'
        yield "/evaluate", f'{{"submission":{{"content":{{}}}},"configuration":{params}}}'
    config = f'{{"graph":{{"expression":"x"}},"inputs":{{{name}:1}}}}'
    yield "/umbridge/Evaluate", f'{{"name":"graph","config":{config},"input":[]}}'
    yield "/umbridge/Evaluate", f'{{"name":{name},"input":[]}}'
    yield "/tesseract/float64/apply", f'{{"inputs":{{{name}:1}}}}'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("store")
    app = create_app(Settings.model_validate({"database_url": f"sqlite:///{folder}/graphs.db"}))
    named = [("/v1/graphs", f'{{"name":"{d}","graph":{graph(d)}}}') for d in DTYPES]
    assert [status for *_, status in answered(app, named)] == [201] * len(DTYPES)
    yield app
    app.close()


def answered(service: Application, requests: list[tuple[str, str]]) -> list[tuple[str, str, int]]:
    async def ask() -> list[tuple[str, str, int]]:
        transport = httpx.ASGITransport(service, raise_app_exceptions=False)
        headers = {"content-type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                (
                    path,
                    body[:200],
                    (await client.post(path, content=body, headers=headers)).status_code,
                )
                for path, body in requests
            ]

    return asyncio.run(ask())


def refused(service: Application, requests: Iterator[tuple[str, str]]) -> None:
    taken = [one for one in answered(service, list(requests)) if not 400 <= one[2] < 500]
    assert taken == []


@pytest.mark.parametrize(("dtype", "value"), VALUES)
def test_a_value_that_is_none(service: Application, dtype: str, value: str) -> None:
    refused(service, with_graph(graph(dtype, value=value)))
    refused(service, with_input(value, dtype))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_is_none(service: Application, shape: str) -> None:
    refused(service, with_shape(shape))


@pytest.mark.parametrize("number", NUMBERS)
def test_an_integer_that_is_none(service: Application, number: str) -> None:
    refused(service, with_number(number))


@pytest.mark.parametrize("name", [HALF, '"x.' + "9" * 20 + '"'])
def test_a_name_that_is_none(service: Application, name: str) -> None:
    """Some doors pass over names that they don't know."""
    failed = [one for one in answered(service, list(with_name(name))) if one[2] >= 500]
    assert failed == []
