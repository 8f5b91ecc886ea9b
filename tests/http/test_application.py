"""What people do with a FastAPI application works with this one."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.websockets import WebSocket

from service.app import create_app
from service.settings import ApiKey, Settings
from tests.http.every_path import Way, ask, reach
from tests.http.fakes import FakeWork, app_of, play
from tests.serving import free_port

GRAPH = {"graph": {"expression": "x * x"}, "inputs": {"x": 3}}
KEY = ApiKey(name="k", sha256=sha256(b"s").hexdigest(), scopes=("compute",))


def one(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    return ask(Way(app, app, ""), [(method, path, options)])[0]  # type: ignore[arg-type]


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """What the lifespan sets for the process is as before afterwards."""
    import gc

    interval = sys.getswitchinterval()
    yield
    gc.unfreeze()
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("undisturbed")
def test_the_test_client_of_starlette_works() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient

        app = create_app(Settings())
        with TestClient(app) as client:
            assert client.post("/v1/gradient", json=GRAPH).json()["gradients"] == {"x": 6.0}
            assert client.get("/readyz").status_code == 200
        assert TestClient(create_app(Settings())).get("/healthz").json() == {"status": "alive"}


def test_the_module_has_an_application() -> None:
    import service.app

    app: Any = service.app.app
    assert isinstance(app, FastAPI)
    assert app is service.app.app
    # What fastapi's command looks for in a module that it was given.
    assert [name for name in dir(service.app) if name in ("app", "api")] == ["app"]
    with pytest.raises(AttributeError):
        _ = service.app.nothing  # type: ignore[attr-defined]


def test_uvicorn_serves_it_by_its_name(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service.app:app", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "running on" in line:
                break
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/gradient", json=GRAPH, timeout=10)
            assert answer.json()["gradients"] == {"x": 6.0}
        finally:
            server.terminate()


def test_pages_and_documents_work_where_it_is_mounted() -> None:
    way = reach("mounted")
    for page in ("/", "/docs"):
        (answer,) = ask(way, [("GET", page, {})])
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        sources = re.findall(r'(?:src|href)="([^"#]+)"', answer.text)
        assert sources
        for source in sources:
            (found,) = ask(way, [("GET", "/" + source, {})])
            assert found.status_code == 200, source
    (document,) = ask(way, [("GET", "/openapi.json", {})])
    assert document.json()["servers"][0] == {"url": "/grad"}
    register = {"json": {"graph": GRAPH["graph"], "name": "square"}}
    (registered,) = ask(way, [("POST", "/v1/graphs", register)])
    place = registered.headers["location"].removeprefix("/grad")
    assert place.startswith("/v1/graphs/sha256:")
    answers = ask(way, [("GET", place, {}), ("GET", "/readyz", {})])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [a.status_code for a in ask(way, [("GET", "", {}), ("GET", "/nope", {})])] == [307, 404]


def test_it_may_be_mounted_twice_and_behind_a_proxy() -> None:
    outer, inner = FastAPI(), FastAPI()
    app = create_app(Settings(root_path="/api"))
    inner.mount("/b", app)
    outer.mount("/a", inner)
    for prefix in ("/a/b", "/a/b/api"):
        answer = one(outer, "POST", f"{prefix}/v1/gradient", json=GRAPH)
        assert answer.json()["gradients"] == {"x": 6.0}
    assert one(outer, "GET", "/a/b/static/docs.js").status_code == 200


def number() -> int:
    return 1


def added(app: FastAPI) -> FastAPI:
    """The application with another person's router in it."""
    router = APIRouter(prefix="/extra")

    @router.post("/echo")
    async def echo(request: Request, number: Annotated[int, Depends(number)]) -> Response:
        return Response(await request.body(), headers={"x-number": str(number)})

    @router.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    app.include_router(router)
    app.dependency_overrides[number] = lambda: 2
    return app


@pytest.mark.parametrize("early", [True, False])
def test_another_router_is_behind_the_same_doors(early: bool) -> None:
    app = create_app(Settings(api_keys=(KEY,), max_body_bytes=100))
    if not early:
        assert one(app, "GET", "/extra/echo").status_code == 401
    added(app)
    known = {"x-api-key": "s"}
    assert one(app, "POST", "/extra/echo", json={}).status_code == 401
    taken = one(app, "POST", "/extra/echo", json={"a": 1}, headers=known)
    assert (taken.status_code, taken.json()) == (200, {"a": 1})
    assert taken.headers["x-number"] == "2"
    assert taken.headers["x-request-id"]
    assert taken.headers["x-content-type-options"] == "nosniff"
    assert one(app, "POST", "/extra/echo", content=b" " * 101, headers=known).status_code == 413
    text = {"content-type": "text/plain", **known}
    assert one(app, "POST", "/extra/echo", content=b"x", headers=text).status_code == 415
    refused = one(app, "PUT", "/extra/echo", headers=known)
    assert (refused.status_code, refused.headers["allow"]) == (405, "OPTIONS, POST")


def test_a_websocket_needs_a_key_as_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
        from starlette.websockets import WebSocketDisconnect

        client = TestClient(added(create_app(Settings(api_keys=(KEY,)))))
        with client.websocket_connect("/extra/talk", headers={"x-api-key": "s"}) as socket:
            assert socket.receive_text() == "hello"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/extra/talk"):
            pass


def test_a_routes_own_limit_of_the_body_holds() -> None:
    app = create_app(Settings())

    @app.post("/small", max_body_size=10)
    async def small(request: Request) -> int:
        return len(await request.body())

    assert one(app, "POST", "/small", content=b" " * 10).json() == 10
    refused = one(app, "POST", "/small", content=b" " * 11)
    assert (refused.status_code, refused.json()["allowed"]) == (413, 10)


def test_middleware_of_others_sees_every_request() -> None:
    app = create_app(Settings())
    seen: list[str] = []

    @app.middleware("http")
    async def watch(request: Request, call_next: Any) -> Any:
        seen.append(request.url.path)
        return await call_next(request)

    assert one(app, "POST", "/v1/gradient", json=GRAPH).status_code == 200
    assert seen == ["/v1/gradient"]
    assert app.pipeline.shortcut == {}


def test_operations_with_dependencies_of_others_run_them() -> None:
    from service.routes import compute

    app = create_app(Settings())
    calls: list[str] = []

    def note() -> None:
        calls.append("note")

    app.include_router(compute.router, prefix="/noted", dependencies=[Depends(note)])
    app.open_shortcut()
    answer = one(app, "POST", "/noted/v1/gradient", json=GRAPH)
    assert answer.json()["gradients"] == {"x": 6.0}
    assert calls == ["note"]
    assert "/v1/gradient" in app.pipeline.shortcut
    assert "/noted/v1/gradient" not in app.pipeline.shortcut


def test_cors_is_off_unless_set() -> None:
    headers = {"origin": "https://a.example", "access-control-request-method": "POST"}

    async def off(client: httpx.AsyncClient) -> None:
        answer = await client.options("/v1/fake", headers=headers)
        assert answer.status_code == 204
        assert answer.headers["allow"] == "OPTIONS, POST"
        assert "access-control-allow-origin" not in answer.headers

    async def on(client: httpx.AsyncClient) -> None:
        answer = await client.options("/v1/fake", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "x-api-key" in answer.headers["access-control-allow-headers"]
        answer = await client.post("/v1/fake", json={}, headers={"origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        other = await client.post("/v1/fake", json={}, headers={"origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers

    play(app_of(FakeWork()), off)
    play(app_of(FakeWork(), cors_origins=("https://a.example",)), on)
