"""The rows of the table: ours, the reference, and what is wanted."""

from __future__ import annotations

from tests.benchmarks.harness import Contender, Row


def _http(server: str, reference: bool = False) -> Contender:
    return Contender("http_load.py", (server,), reference)


def _whole(what: str, nodes: int) -> Contender:
    return Contender("whole_request.py", (what, str(nodes)))


# Where the time goes, and what was tried: profiles of the machine that the README names.
_EAGER = (
    "looking names up and checking take 220 ns a node (at 1,000 nodes), where torch allows 195 and "
    "autograd 130; both sweeps take 15 as machine code, 220 in a loop over floats; at a million "
    "nodes the look-ups miss the cache, 1,000 ns a node"
)
_UMBRIDGE = (
    "the bare function itself answers only some 3 to 4 times as many as this server, whose HTTP "
    "parser is compiled and whose answer is a few bytes"
)
_FUSED = (
    "29 passes of NumPy over blocks in the cache take 6.6 ns a point on one core and 4.2 on two; "
    "XLA's single fused loop takes 2.9, and loses it again where memory is the bound"
)


def _engine(size: int, kind: str) -> list[Row]:
    ours = Contender("engine.py", (str(size), kind, "once"))
    torch = Contender("engine_torch.py", (str(size), kind), True)
    long = size >= 100_000
    name = f"engine, {size:,} {kind} nodes"
    rows = [
        Row(
            f"{name}, build and run / torch eager",
            ours,
            torch,
            1 / 25,
            "per_node",
            long=long,
            floor=_EAGER,
        )
    ]
    if size <= 10_000:
        autograd = Contender("engine_autograd.py", (str(size), kind), True)
        rows.append(
            Row(
                f"{name}, build and run / autograd",
                ours,
                autograd,
                1 / 100,
                "per_node",
                floor=_EAGER,
            )
        )
    if size >= 10_000 and kind == "wide":
        again = Contender("engine.py", (str(size), kind, "again"))
        rows.append(
            Row(
                f"{name}, run again / torch eager",
                again,
                torch,
                1 / 150,
                "per_node",
                long=long,
            )
        )
        rows.append(
            Row(
                f"{name}, build / json.loads of the same graph",
                Contender("engine.py", (str(size), kind, "build")),
                _whole("json", size),
                1,
                "per_node",
                long=long,
            )
        )
    return rows


def _registered(size: int, kind: str, gates: str, target: float, way: tuple[str, ...] = ()) -> Row:
    shape = (str(size), kind, gates)
    return Row(
        f"HTTP, registered {kind} {size:,} {gates}{', no jit' if way else ''} / plain float loop",
        Contender("registered.py", (*shape, *way)),
        Contender("float_loop.py", shape),
        target,
    )


EVALS = {
    "lstm": [("2", "64"), ("4", "256")],
    "ode": [("8", "50"), ("1000", "50")],
    "gmm": [("100", "3", "5"), ("1000", "10", "10")],
    "lse": [("2500",), ("640000",)],
    "llsq": [("500", "8"), ("20000", "16")],
    "kmeans": [("200", "4", "5"), ("5000", "8", "10")],
    "det": [("5",), ("7",)],
}
"""GradBench's kind: sizes of each, small to large."""
_JAX = "XLA fuses what runs here one operation at a time over memory, and vectorizes exp and tanh"


def _eval(name: str, sizes: tuple[str, ...]) -> list[Row]:
    """An eval by the engine against each peer, without machine code, and over HTTP."""
    args = (name, *sizes)
    shown = f"{name} {' '.join(sizes)}"
    ours, torch = Contender("eval_ours.py", ("engine", *args)), _peer("torch", args)
    rows = [Row(f"{shown}, engine / torch eager", ours, torch, 1)]
    if args != ("det", "7"):  # it compiles for minutes
        rows.append(Row(f"{shown}, engine / JAX jit", ours, _peer("jax", args), 1, floor=_JAX))
    rows.append(Row(f"{shown}, engine / autograd", ours, _peer("autograd", args), 1))
    loops, http = (Contender("eval_ours.py", (way, *args)) for way in ("loops", "http"))
    wanted = {"lstm": 0.35, "ode": 0.7}.get(name, 1.3)
    rows.append(Row(f"{shown}, no jit / torch eager", loops, torch, wanted))
    rows.append(Row(f"{shown}, HTTP, registered, base64 / torch eager", http, torch, 4))
    return rows


def _peer(name: str, args: tuple[str, ...]) -> Contender:
    return Contender("eval_peer.py", (name, *args), True)


ROWS: list[Row] = [
    *(row for name, every in EVALS.items() for sizes in every for row in _eval(name, sizes)),
    *(
        _registered(size, kind, gates, target, way)
        for size, kind, gates, with_jit, without in (
            (100_000, "deep", "smooth", 0.15, 1.2),
            (100_000, "deep", "gates", 0.15, 1.2),
            (2_000, "deep", "gates", 0.5, 1.5),
            (3_000, "wide", "smooth", 0.25, 0.25),
            (9_000, "wide", "smooth", 0.15, 0.15),
        )
        for target, way in ((with_jit, ()), (without, ("loops",)))
    ),
    Row("small graph, requests/s / bare ASGI", _http("ours"), _http("bare"), 0.45, "rate", True),
    Row("small graph, p99 / bare ASGI", _http("ours"), _http("bare"), 3, "p99"),
    Row(
        "small graph, requests/s / Tesseract vjp",
        _http("ours"),
        _http("tesseract", True),
        10,
        "rate",
        True,
    ),
    Row(
        "small graph, requests/s / UM-Bridge Gradient",
        _http("ours"),
        _http("umbridge", True),
        10,
        "rate",
        True,
        floor=_UMBRIDGE,
    ),
    *(
        row
        for nodes in (10_000, 100_000, 1_000_000)
        for row in (
            Row(
                f"first sight of {nodes:,} nodes / json.loads",
                _whole("first", nodes),
                _whole("json", nodes),
                2,
                long=nodes > 100_000,
            ),
            Row(
                f"{nodes:,} nodes again / first sight",
                _whole("again", nodes),
                _whole("first", nodes),
                0.15,
                long=nodes > 100_000,
            ),
        )
    ),
    Row(
        "per node at 1,000,000 / at 10,000",
        _whole("first", 1_000_000),
        _whole("first", 10_000),
        2,
        "per_node",
        long=True,
    ),
    Row(
        "peak memory of 1,000,000 nodes / the body",
        _whole("first", 1_000_000),
        _whole("size", 1_000_000),
        12,
        "bytes",
        long=True,
    ),
    *(row for size in (100, 1_000, 10_000, 100_000, 1_000_000) for row in _engine(size, "wide")),
    *(row for size in (100, 1_000, 10_000, 100_000) for row in _engine(size, "deep")),
    *(
        Row(
            f"batch of {points:,} points / jax.jit(vmap(value_and_grad))",
            Contender("points.py", (str(points),)),
            Contender("points_jax.py", (str(points),), True),
            1,
            long=points > 1_000_000,
            floor=_FUSED,
        )
        for points in (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    ),
    *(
        Row(
            f"{net}, {dtype} / torch",
            Contender("network.py", (net, dtype)),
            Contender("network_torch.py", (net, dtype), True),
            target,
        )
        for net, dtype, target in (
            ("mlp", "float32", 1.1),
            ("mlp", "float64", 1.3),
            ("conv", "float32", 5),
            ("conv", "float64", 2),
        )
    ),
    Row(
        "1,000,000 float64 out as JSON / orjson",
        Contender("encoding.py", ("out", "json")),
        Contender("encoding.py", ("out", "orjson")),
        1.3,
    ),
    Row(
        "1,000,000 float64 out as base64 / copy and base64",
        Contender("encoding.py", ("out", "base64")),
        Contender("encoding.py", ("out", "plain")),
        3,
    ),
    Row(
        "1,000,000 float64 in as JSON / orjson",
        Contender("encoding.py", ("in", "json")),
        Contender("encoding.py", ("in", "orjson")),
        1.3,
    ),
    Row(
        "1,000,000 float64 in as base64 / base64 and copy",
        Contender("encoding.py", ("in", "base64")),
        Contender("encoding.py", ("in", "plain")),
        3,
    ),
    Row(
        "start-up to first answer / empty FastAPI app",
        Contender("startup.py", ("ours",)),
        Contender("startup.py", ("empty",)),
        1.5,
    ),
]
