"""Bodies that are meant to hurt: each is refused with a documented code, quickly and cheaply.

They are made here rather than kept as files: most of them are one idea and a number.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from service.engine.expression import MAX_LENGTH

GRADIENT = "/v1/gradient"
MALFORMED = ("malformed_json",)
FORM = ("invalid_request", "malformed_json")
DEEP = ("limit_exceeded", "malformed_json", "invalid_request", "invalid_tensor", "syntax")


@dataclass(frozen=True)
class Hostile:
    """A body, where it is sent, and the codes of which its refusal has one (empty: any)."""

    name: str
    body: bytes
    codes: tuple[str, ...] = ()
    path: str = GRADIENT


def corpus() -> list[Hostile]:
    """All of them; their names are unique."""
    made = [
        *_not_json(),
        *_numbers(),
        *_deep(),
        *_members(),
        *_graphs(),
        *_attributes(),
        *_tensors(),
        *_bombs(),
        *_expressions(),
        *_modes(),
    ]
    names = [one.name for one in made]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return made


def dump(value: Any) -> bytes:
    """JSON as a client writes it; lone surrogates stay escaped."""
    return json.dumps(value).encode()


def graph(*nodes: dict[str, Any], **more: Any) -> bytes:
    """A request with these nodes."""
    return dump({"graph": {"nodes": list(nodes)}, **more})


def leaf(name: str = "x", **more: Any) -> dict[str, Any]:
    """An input of value 1."""
    return {"id": name, "op": "input", "value": 1.0, **more}


def shaped(name: str, *shape: int) -> dict[str, Any]:
    """An input that only says its shape."""
    return {"id": name, "op": "input", "shape": list(shape)}


def node(op: str, *inputs: Any, name: str = "f", **attributes: Any) -> dict[str, Any]:
    """A node of an operator."""
    return {"id": name, "op": op, "inputs": list(inputs), **attributes}


def _not_json() -> Iterator[Hostile]:
    good = b'{"graph":{"nodes":[{"id":"x","op":"input","value":1}]}}'
    texts: dict[str, bytes] = {
        "empty": b"",
        "blank": b" \n\t ",
        "a word": b"gradient",
        "cut short": good[:-1],
        "one too many": good + b"}",
        "two documents": good + good,
        "trailing comma": good[:-1] + b",}",
        "comment": b"/* */" + good,
        "line comment": good + b"// end",
        "single quotes": good.replace(b'"', b"'"),
        "names without quotes": b"{graph:{}}",
        "byte order mark": b"\xef\xbb\xbf" + good,
        "utf-16": good.decode().encode("utf-16"),
        "utf-16 without a mark": good.decode().encode("utf-16-le"),
        "utf-32": good.decode().encode("utf-32"),
        "latin-1": good.replace(b'"x"', b'"\xe9"'),
        "overlong utf-8": good.replace(b'"x"', b'"\xc0\xaf"'),
        "surrogate in utf-8": good.replace(b'"x"', b'"\xed\xa0\x80"'),
        "beyond unicode": good.replace(b'"x"', b'"\xf5\x80\x80\x80"'),
        "half a character": good[:-10] + b"\xe2\x82",
        "nul bytes": b"\x00" * 1000,
        "nul at the end": good + b"\x00",
        "nul inside a string": good.replace(b'"x"', b'"x\x00"'),
        "newline inside a string": good.replace(b'"x"', b'"x\n"'),
        "bad escape": good.replace(b'"x"', b'"\\x41"'),
        "half an escape": good.replace(b'"x"', b'"\\u00"'),
        "string without an end": b'{"graph":"' + b"a" * 100_000,
        "form": b"graph=x&inputs=y",
        "xml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
        "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n(S'id'\ntR.",
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x02\x00",
        "msgpack": b"\x81\xa5graph\xc0",
        "a megabyte of commas": b"[" + b"," * 1_000_000,
        "a megabyte of minus signs": b"-" * 1_000_000,
        "python literals": b'{"graph":None}',
        "javascript": b'{"graph":undefined}',
        "concatenated strings": b'{"graph":"a" "b"}',
        "colon missing": b'{"graph" {}}',
        "value missing": b'{"graph":}',
        "number as a name": b'{1:{"nodes":[]}}',
        "bracket mismatch": b'{"graph":{"nodes":[}]}',
    }
    for name, text in texts.items():
        yield Hostile(f"json: {name}", text, MALFORMED)
    for name, text in {
        "null": b"null",
        "true": b"true",
        "a number": b"7",
        "a string": b'"graph"',
        "a list": b"[]",
        "a list of graphs": b"[" + good + b"]",
        "no members": b"{}",
    }.items():
        yield Hostile(f"json: {name}", text, FORM)
    for name, text in {
        "request": b'{"graph":{"nodes":[]},' + good[1:],
        "node": good.replace(b'"id":"x"', b'"id":"y","id":"x"'),
        "node, escaped": good.replace(b'"id":"x"', b'"\\u0069d":"y","id":"x"'),
        "inputs": good[:-1] + b',"inputs":{"x":1,"x":2}}',
        "graph": good.replace(b'{"nodes"', b'{"output":"x","output":"y","nodes"'),
    }.items():
        yield Hostile(f"json: duplicate member in {name}", text)
    for name, text in {
        "id": good.replace(b'"x"', b'"\\ud800"'),
        "low one": good.replace(b'"x"', b'"\\udc00"'),
        "pair the wrong way": good.replace(b'"x"', b'"\\udc00\\ud800"'),
        "name of an input": good[:-1] + b',"inputs":{"\\ud800":1}}',
        "operator": good.replace(b'"input"', b'"\\ud800"'),
        "member": good[:-1] + b',"\\ud800":1}',
    }.items():
        yield Hostile(f"json: lone surrogate, {name}", text)


def _numbers() -> Iterator[Hostile]:
    for number in (
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "+1",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "0x10",
        "1_000",
        "1,5",
        "--1",
        "1e+",
        "٣",
    ):
        text = '{"graph":{"nodes":[{"id":"x","op":"input","value":%s}]}}'.replace("%s", number)
        yield Hostile(f"number: {number}", text.encode(), FORM)
    for number in ('"nan"', '"inf"', '"1"', '"1e5"', '""', '"Infinity "', "null", "{}"):
        text = '{"graph":{"nodes":[{"id":"x","op":"input","value":%s}]}}'.replace("%s", number)
        yield Hostile(f"number: {number}", text.encode())
    for name, number in {
        "1e999": "1e999",
        "-1e999": "-1e999",
        "400 digits": "9" * 400,
        "100,000 digits": "9" * 100_000,
        "a large exponent": "1e" + "9" * 1000,
    }.items():
        text = '{"graph":{"nodes":[{"id":"x","op":"input","value":%s}]}}'.replace("%s", number)
        yield Hostile(f"number: {name}", text.encode())
        text = '{"graph":{"nodes":[{"id":"x","op":"input"}]},"inputs":{"x":[%s]}}'.replace(
            "%s", number
        )
        yield Hostile(f"number: {name} in a list", text.encode())


def _deep() -> Iterator[Hostile]:
    for depth in (1_000, 100_000, 1_000_000):
        yield Hostile(f"depth: {depth} lists", b"[" * depth, DEEP)
        yield Hostile(f"depth: {depth} closed lists", b"[" * depth + b"]" * depth, DEEP)
        yield Hostile(f"depth: {depth} objects", b'{"graph":' * depth, DEEP)
    for depth in (100, 10_000):
        value = "[" * depth + "1" + "]" * depth
        for name, text in {
            "a value": '{"graph":{"nodes":[{"id":"x","op":"input","value":%s}]}}',
            "an input": '{"graph":{"nodes":[{"id":"x","op":"input"}]},"inputs":{"x":%s}}',
            "an attribute": '{"graph":{"nodes":[{"id":"x","op":"sum","inputs":[1],"axis":%s}]}}',
            "inputs of a node": '{"graph":{"nodes":[{"id":"x","op":"neg","inputs":%s}]}}',
            "an unknown member": '{"graph":{"nodes":[{"id":"x","op":"input","value":1}]},"m":%s}',
            "the graph": '{"graph":%s}',
        }.items():
            yield Hostile(f"depth: {depth} in {name}", text.replace("%s", value).encode())


def _members() -> Iterator[Hostile]:
    graphs: list[Any] = [None, True, 0, 1.5, [], [[]], {}, "", "sha256:" + "0" * 64, "../../etc"]
    for value in graphs:
        yield Hostile(f"member: graph {value!r}", dump({"graph": value}))
    lists: list[Any] = [None, True, 0, {}, "x", [None], [1], [[]], ["x"], [{}]]
    for value in lists:
        yield Hostile(f"member: nodes {value!r}", dump({"graph": {"nodes": value}}))
    members: dict[str, tuple[str, Any]] = {
        "dtype float16": ("dtype", "float16"),
        "dtype object": ("dtype", "object"),
        "dtype number": ("dtype", 64),
        "encoding": ("encoding", "gzip"),
        "encoding list": ("encoding", ["base64"]),
        "values": ("values", "some"),
        "inputs list": ("inputs", [1]),
        "inputs text": ("inputs", "x"),
        "output number": ("output", 5),
        "output unknown": ("output", "nowhere"),
        "wrt number": ("wrt", 5),
        "wrt unknown": ("wrt", ["nowhere"]),
        "cotangent text": ("cotangent", "one"),
        "cotangent of another shape": ("cotangent", [[1, 2], [3, 4]]),
        "batch number": ("batch", 5),
        "batch unknown": ("batch", ["nowhere"]),
        "reduce": ("reduce", "product"),
        "node_gradients": ("node_gradients", "yes"),
        "unknown": ("__proto__", {}),
        "python's own": ("__class__", "x"),
    }
    for name, (member, value) in members.items():
        body = graph(leaf(), node("neg", "x"), **{member: value})
        yield Hostile(f"member: {name}", body)
    yield Hostile("member: graph left out", dump({"inputs": {"x": 1}}), FORM)
    yield Hostile("member: two graphs", dump({"graph": {"nodes": [leaf()], "expression": "x"}}))
    yield Hostile(
        "member: unused inputs, many",
        graph(leaf(), inputs={f"n{i}": 1 for i in range(10_000)}),
    )
    yield Hostile("member: a long unknown name", graph(leaf(), **{"k" * 1_000_000: 1}))


def _graphs() -> Iterator[Hostile]:
    yield Hostile("graph: self-reference", graph(node("neg", "f")), ("cycle",))
    for length in (2, 1_000, 20_000):
        ring = [node("neg", f"n{(i + 1) % length}", name=f"n{i}") for i in range(length)]
        yield Hostile(f"graph: cycle of {length}", graph(*ring), ("cycle",))
    yield Hostile("graph: duplicate", graph(leaf(), leaf()), ("duplicate_node",))
    yield Hostile(
        "graph: 20,000 duplicates", graph(*[leaf() for _ in range(20_000)]), ("duplicate_node",)
    )
    yield Hostile("graph: unknown node", graph(leaf(), node("neg", "y")), ("unknown_node",))
    yield Hostile(
        "graph: 5,000 unknown nodes",
        graph(*[node("neg", f"missing{i}", name=f"n{i}") for i in range(5_000)]),
        ("unknown_node",),
    )
    yield Hostile(
        "graph: 5,000 unknown operators",
        graph(*[node(f"nonsense{i}", 1, name=f"n{i}") for i in range(5_000)]),
        ("unknown_operator",),
    )
    for op in ("", "__class__", "__import__", "eval", "Input", "a" * 100_000, "add\u0000", "ad d"):
        yield Hostile(f"graph: operator {op[:20]!r}", graph(leaf(), node(op, "x")))
    for name in ("", "\u0000", "a" * 100_000, "a b\u2028", "x" + "\u0301" * 10_000, "\n"):
        yield Hostile(
            f"graph: id {name[:12]!r} of {len(name)}", graph(leaf(name), node("neg", "z"))
        )
    for count in (0, 1, 3, 10_000):
        body = graph(leaf(), node("divide", *["x"] * count))
        yield Hostile(f"graph: divide of {count}", body, ("arity",))
    yield Hostile("graph: input with inputs", graph({**leaf(), "inputs": ["x"]}))
    yield Hostile("graph: constant without a value", graph({"id": "c", "op": "constant"}))
    yield Hostile("graph: no value", graph(shaped("x"), node("neg", "x")), ("missing_input",))
    yield Hostile("graph: two outputs", graph(leaf(), node("neg", "x"), node("exp", "x", name="g")))
    yield Hostile("graph: inputs text", graph(leaf(), {"id": "f", "op": "neg", "inputs": "x"}))
    yield Hostile("graph: inputs null", graph(leaf(), {"id": "f", "op": "neg", "inputs": None}))
    yield Hostile("graph: inputs an object", graph({"id": "f", "op": "neg", "inputs": [{}]}))
    yield Hostile("graph: inputs true", graph({"id": "f", "op": "neg", "inputs": [True, 1]}))
    yield Hostile("graph: id a number", graph({"id": 5, "op": "input", "value": 1}))
    yield Hostile("graph: id left out", graph({"op": "input", "value": 1}))
    yield Hostile("graph: op left out", graph({"id": "x", "value": 1}))
    yield Hostile("graph: a second output that isn't", graph(leaf(), node("neg", "x.1")))
    yield Hostile("graph: output 10^9", graph(leaf(), node("neg", "x.1000000000")))
    yield Hostile(
        "graph: not a scalar", graph(leaf(value=[1.0, 2.0]), node("neg", "x")), ("not_scalar",)
    )


def _attributes() -> Iterator[Hostile]:
    x = leaf(value=[[1.0, 2.0], [3.0, 4.0]])
    values: tuple[Any, ...] = (
        2,
        -3,
        10**18,
        2**63,
        10**400,
        1.5,
        True,
        "0",
        {},
        [0, 0],
        [0, 5],
        list(range(10_000)),
        [None],
    )
    for value in values:
        text = repr(value)[:24]
        yield Hostile(f"attribute: sum over {text}", graph(x, node("sum", "x", axis=value)))
    wrongs: dict[str, dict[str, Any]] = {
        "unknown": {"axes_": 1},
        "keepdims": {"keepdims": "yes"},
        "keepdims number": {"keepdims": 1},
        "python's own": {"__class__": "x"},
        "forward": {"forward": "x"},
        "xp": {"xp": 1},
        "long name": {"a" * 100_000: 1},
    }
    for name, wrong in wrongs.items():
        yield Hostile(f"attribute: {name}", graph(x, node("sum", "x", **wrong)))
    unknown: dict[str, Any] = {f"a{i}": i for i in range(20_000)}
    yield Hostile("attribute: 20,000 unknown", graph(x, node("sum", "x", **unknown)))
    yield Hostile("attribute: ties", graph(x, node("maximum", "x", 0, ties="nobody")))
    yield Hostile("attribute: reshape without shape", graph(x, node("reshape", "x")))
    yield Hostile("attribute: broadcast_to text", graph(x, node("broadcast_to", "x", shape="2")))


def _tensors() -> Iterator[Hostile]:
    def valued(value: Any) -> bytes:
        return graph(leaf(value=value), node("sum", "x"))

    def packed(**members: Any) -> bytes:
        array = {
            "object_type": "array",
            "shape": [2],
            "dtype": "float64",
            "data": {"encoding": "base64", "buffer": base64.b64encode(b"\0" * 16).decode()},
        }
        return valued({**array, **members})

    for name, value in {
        "ragged": [[1, 2], [3]],
        "ragged deeper": [[[1], [2]], [[3], 4]],
        "list and number": [1, [2]],
        "text inside": [1, "2"],
        "null inside": [1, None],
        "object inside": [1, {"a": 1}],
        "bad string inside": [1, "nan"],
        "ragged, wide": [[1.0] * 1000] * 50 + [[1.0] * 999],
        "200,000 bad items": ["x"] * 200_000,
        "60 deep": json.loads("[" * 60 + "1" + "]" * 60),
        "booleans and text": [True, "true"],
    }.items():
        yield Hostile(f"tensor: {name}", valued(value))
    lies: dict[str, dict[str, Any]] = {
        "a large shape": {"shape": [10**12]},
        "a shape of more than memory": {"shape": [10**6, 10**6, 10**6]},
        "a shape beyond 64 bits": {"shape": [2**40, 2**40]},
        "a negative shape": {"shape": [-1]},
        "a negative pair": {"shape": [-2, -1]},
        "half a dimension": {"shape": [0.5, 4]},
        "a shape of text": {"shape": "2"},
        "one dimension too few": {"shape": [1]},
        "10,000 dimensions": {"shape": [1] * 10_000},
        "65 dimensions": {"shape": [1] * 65},
        "no shape": {"shape": None},
        "objects": {"dtype": "object"},
        "python objects": {"dtype": "|O"},
        "text": {"dtype": "<U4"},
        "records": {"dtype": [["a", "f8"]]},
        "complex": {"dtype": "complex128"},
        "long double": {"dtype": "float128"},
        "dates": {"dtype": "datetime64[s]"},
        "an unknown dtype": {"dtype": "float64; import os"},
        "another encoding": {"data": {"encoding": "raw", "buffer": "AAAA"}},
        "no buffer": {"data": {"encoding": "base64"}},
        "no base64": {"data": {"encoding": "base64", "buffer": "*" * 24}},
        "base64 of another length": {"data": {"encoding": "base64", "buffer": "AAAA"}},
        "base64 with blanks": {"data": {"encoding": "base64", "buffer": "A A" * 8}},
        "too much base64": {"data": {"encoding": "base64", "buffer": "A" * 1_000_000}},
        "a buffer that is a list": {"data": {"encoding": "base64", "buffer": [0] * 16}},
        "another object": {"object_type": "tensor"},
        "an unknown member": {"strides": [8]},
    }
    for name, members in lies.items():
        yield Hostile(f"tensor: array that has {name}", packed(**members))
    yield Hostile(
        "tensor: nothing, but a shape of 2^62",
        packed(shape=[2**62, 0], data={"encoding": "base64", "buffer": ""}),
    )
    declared: list[Any] = [[10**12], [-1], ["x"], 5, "2", [1] * 1000, [2**31, 2**31], [0.5]]
    for shape in declared:
        body = graph({"id": "x", "op": "input", "shape": shape, "value": 1.0}, node("sum", "x"))
        yield Hostile(f"tensor: declared as {repr(shape)[:20]}", body)


def _bombs() -> Iterator[Hostile]:
    big = ("limit_exceeded",)
    many = {"id": "w", "op": "broadcast_to", "inputs": ["x"], "shape": [1_000_000]}
    for op, attributes in {"unstack": {}, "split": {"sections": 1_000_000}}.items():
        parts = node(op, "w", **attributes)
        yield Hostile(f"size: {op} into 1,000,000 parts", graph(leaf(value=1), many, parts), big)
    rows = [{**many, "id": f"w{i}", "shape": [6_000]} for i in range(9)]
    rows += [node("unstack", f"w{i}", name=f"p{i}") for i in range(9)]
    most = node("maximum", *(f"p{i}" for i in range(9)))
    yield Hostile("size: nine times 6,000 parts", graph(leaf(value=1), *rows, most), big)
    huge = [0, 10**18, 10**18]
    for op, name in {"broadcast_to": "shape", "tile": "repeats"}.items():
        empty = node(op, "x", **{name: huge})
        yield Hostile(f"size: {op} to nothing of 10^36", graph(leaf(value=1), empty), big)
    none = node("one_hot", "x", classes=2**62)
    yield Hostile("size: no labels of 2^62 classes", graph(leaf(value=[]), none), big)
    for count in (33, 64, 400):
        terms, names = ",".join(["a"] * count), ["x"] * count
        sums = node("einsum", *names, equation=f"{terms}->")
        yield Hostile(f"size: einsum of {count}", graph(leaf(value=[1]), sums), ("arity",))
    for shape in ([10**12], [10**6, 10**6], [10**5] * 4, [2**31, 2**31], [2**62, 4]):
        body = graph(leaf(), node("broadcast_to", "x", shape=shape, name="b"), node("sum", "b"))
        yield Hostile(f"bomb: broadcast_to {shape}", body)
    for shape in ([10**12], [-1, -1], [-2], [2**63], [0], [3], [1] * 1000):
        body = graph(leaf(), node("reshape", "x", shape=shape, name="r"), node("sum", "r"))
        yield Hostile(f"bomb: reshape {repr(shape)[:20]}", body)
    names = ["x", *(f"c{i}" for i in range(40))]
    chain = [node("concat", before, before, name=after) for before, after in pairwise(names)]
    doubled = graph(leaf(value=[1.0]), *chain, node("sum", names[-1]))
    yield Hostile("bomb: concat doubled 40 times", doubled, big)
    outer = [
        leaf("a"),
        node("broadcast_to", "a", shape=[40_000, 1], name="p"),
        node("broadcast_to", "a", shape=[1, 40_000], name="q"),
    ]
    yield Hostile(
        "bomb: outer product",
        graph(*outer, node("multiply", "p", "q", name="m"), node("sum", "m")),
        big,
    )
    yield Hostile(
        "bomb: outer matmul",
        graph(*outer, node("matmul", "p", "q", name="m"), node("sum", "m")),
        big,
    )
    wide = [leaf("a"), node("broadcast_to", "a", shape=[7000, 7000], name="m0")]
    wide += [node("matmul", f"m{i}", f"m{i}", name=f"m{i + 1}") for i in range(3)]
    yield Hostile("bomb: flops", graph(*wide, node("sum", "m3")), big)
    many = [leaf("a")]
    many += [node("broadcast_to", "a", shape=[5000, 5000], name=f"b{i}") for i in range(40)]
    adds = [node("add", "b0", "b1", name="t1")]
    adds += [node("add", f"t{i}", f"b{i + 1}", name=f"t{i + 1}") for i in range(1, 39)]
    yield Hostile("bomb: many tensors", graph(*many, *adds, node("sum", "t39")), big)


def _expressions() -> Iterator[Hostile]:
    def expressed(text: str) -> bytes:
        return dump({"graph": {"expression": text}, "inputs": {"x": 1.0}})

    texts = (
        "",
        "   ",
        "\n\n",
        "# only a comment",
        "x +",
        "(x",
        "x)",
        "x x",
        "1x",
        "x = ",
        "= x",
        "x == ",
        "'x'",
        'b"x"',
        "f'{x}'",
        "...",
        "None",
        "1j * x",
        "lambda: x",
        "(lambda y: y)(x)",
        "[x for x in x]",
        "{x for x in x}",
        "{x: x for x in x}",
        "(x for x in x)",
        "[y := x, y**2]",
        "import os",
        "from os import system",
        "__import__('os').system('true')",
        "eval('x')",
        "exec('x')",
        "open('/etc/passwd')",
        "compile('x', '', 'eval')",
        "globals()",
        "getattr(x, 'T')",
        "x.__class__",
        "x.__class__.__bases__[0].__subclasses__()",
        "().__class__",
        "x.T.__init__",
        "x.real",
        "exp.__globals__",
        "exp.__call__(x)",
        "np.load('x')",
        "np.core.multiarray",
        "np.lib.npyio",
        "math.__dict__",
        "os.system('true')",
        "sys.exit()",
        "def f(): pass",
        "class A: pass",
        "while True: pass",
        "for i in x: pass",
        "with x: pass",
        "try:\n  x\nexcept: pass",
        "if x: y = x",
        "match x:\n  case 1: pass",
        "del x",
        "assert x",
        "raise x",
        "return x",
        "yield x",
        "await x",
        "async def f(): pass",
        "global x",
        "nonlocal x",
        "@x\ndef f(): pass",
        "exp(*x)",
        "exp(**x)",
        "exp(x)(x)",
        "exp",
        "x()",
        "sum(x, axis=exp)",
        "sum(x, axis='0')",
        "sum(x, axis=__import__('os'))",
        "sum(x, axis=9**9**9)",
        "nonsense(x)",
        "x.nonsense()",
        "x[__import__('os')]",
        "x['a']",
        "x\x00",
        "\x0cx\x1f",
        "\tx = 1\n  y = 2",
        "x = 1\n  y = 2",
        "x = 1 \\",
        "x = '''",
        "x ≠ y",
        "1__0 * x",
        "0777 * x",
        "x <> x",
        "x; y = ",
        "print(x)",
        "x -> y",
        "$x",
        "x?",
        "x!",
        "`x`",
        "exp(x, x, x, x)",
        "exp()",
    )
    for text in texts:
        yield Hostile(f"expression: {text!r}", expressed(text))
    for name, text in {
        "10,000 parentheses": "(" * 10_000 + "x" + ")" * 10_000,
        "10,000 open parentheses": "(" * 10_000,
        "10,000 brackets": "[" * 10_000 + "x" + "]" * 10_000,
        "10,000 calls": "exp(" * 10_000 + "x" + ")" * 10_000,
        "100,000 minus signs": "-" * 100_000 + "x",
        "a power tower of 10,000": "**".join(["x"] * 10_000),
        "10,000 attributes": "x" + ".T" * 10_000 + ".__class__",
        "10,000 subscripts": "x" + "[0]" * 10_000,
        "a 5,000-digit integer": "x + " + "9" * 5_000,
        "a 100,000-digit integer": "x + " + "9" * 100_000,
        "1e999": "x * 1e999 +",
        "a megabyte of one name": "y" * 1_000_000 + " +",
        "a megabyte of blanks": " " * 1_000_000,
        "100,000 broken lines": "x = \n" * 100_000,
        "2,000 unknown functions": "+".join(f"nonsense{i}(x)" for i in range(2_000)),
        "as many statements as fit": "x;" * (MAX_LENGTH // 2),
        "as many wrong lines as fit": "z=q(x)\n" * (MAX_LENGTH // 7),
        "a wrong line after as many as fit": "a=x+y\nb=a*x\n" * (MAX_LENGTH // 13) + "q(x)",
        "a loop of 10^9 rounds": "for i in range(10**9):\n    x = x * 2",
        "a loop of 10^18 rounds": "for i in range(10**18): x = x * 2",
        "a loop of 10^30 rounds": "for i in range(10**30): x = x * 2",
        "three loops of 10,000": "for i in range(10000):\n for j in range(10000):\n  "
        "for k in range(10000):\n   x = x + 1",
        "loops in loops by names": "n = 3000\nfor i in range(n):\n for j in range(n):\n  x += 1",
        "a list of 10^9": "y = [x] * 10**9\nnp.stack(y)",
        "a list that doubles": "y = [x]\nfor i in range(60): y = y + y\nnp.stack(y)",
        "a tuple that doubles": "y = (x,)\nfor i in range(60): y = y + y\nnp.stack(y)",
        "a list in itself": "y = [x]\ny.append(y)\nnp.stack(y)",
        "zeros of 10^12": "y = np.zeros((10**6, 10**6)) * x",
        "zeros of 33 dimensions": "y = np.zeros((1,) * 33) * x",
        "arange of 10^12": "y = np.arange(10**12) * x",
        "arange by nothing": "y = np.arange(0, 1, 1e-300) * x",
        "eye of 10^6": "y = np.eye(10**6) * x",
        "linspace of 10^10": "y = np.linspace(0, 1, 10**10) * x",
        "zeros filled in part": "y = np.zeros((5000, 5000))\ny[0, 0] = x\nsum(y)",
        "an index of 10^8": "y = x[np.zeros(10**8).astype(int)]",
        "index of an index": "i = np.arange(3000)\ny = i[:, None] + i[None, :]\n"
        "z = y[:, :, None] + y\nz * x",
        "a range as an index": "y = x[range(10**9)]",
        "repeats of 10^9": "np.repeat(x, [10**9, 1])",
        "a pad of 10^12": "np.pad([x, x], 10**12)",
        "a power of a power": "n = 2\nfor i in range(60): n = n ** n\nx * nonsense(n)",
        "a number that grows": "n = 10\nfor i in range(10**4): n = n * n\nx * nonsense(n)",
        "a name that never ends": "for i in range(10**6):\n  for j in range(10**6):\n    pass",
        "zip of ranges": "for i, j in zip(range(10**8), range(10**8)): x = x + 1",
        "a list of a range": "for i in list(range(10**9)): x = x + 1",
        "lists that hold one another twice": "y = [x]\n" + "y = [y, y]\n" * 60 + "y",
        "numbers that hold one another twice": "y = (1, 2)\n" + "y = (y, y)\n" * 60 + "x[y]",
        "tuples compared": "y = (1, 2)\nz = (1, 2)\n"
        + "y = (y, y)\nz = (z, z)\n" * 60
        + "x if y == z else nonsense(x)",
        "an attribute of nested tuples": "y = (1,)\n" + "y = (y, y)\n" * 60 + "sum(x, axis=y)",
        "lists nested a thousand times": "y = [1]\nfor i in range(1000): y = [y]\nnp.array(y)",
        "lists in each other": "y = [1]\nz = (y,)\ny.append(z)\nnp.array(y)",
        "a list extended by itself": "y = [1]\n" + "y.extend(y)\n" * 60 + "np.array(y) * x",
        "an element that is its list": "y = [x, x]\ny[0] = y\nnp.stack(y)",
        "concatenated to 10^18": "y = np.ones(3)\n" + "y = np.concatenate([y, y])\n" * 60 + "y * x",
        "appended to 10^18": "y = x\n" + "y = np.append(y, y)\n" * 60 + "y",
        "stacked 60 times": "y = x\n" + "y = np.stack([y, y])\n" * 60 + "y",
        "outer products of outer products": "y = np.ones(9)\n" + "y = np.outer(y, y)\n" * 9 + "y",
        "a copy for every element": "y = np.zeros(10**6)\nfor i in range(10**6):\n"
        " z = y.copy()\n z[i] = x\nz",
        "read between all writes": "y = np.zeros(10**6)\nfor i in range(10**6):\n"
        " y[i] = x\n z = y.sum()\nz",
        "a split into 10^9": "np.split(np.zeros(10**9) * x, 10**9)",
        "a thousand subscripts of None": "x[" + "None, " * 1000 + "]",
        "a shape of a thousand ones": "x.reshape(" + "1, " * 1000 + ")",
        "nested lambdas": "lambda: " * 1_000 + "x",
        "nested comprehensions": "[" * 150 + "x" + " for x in x]" * 150,
        "nested conditions": "x if x else " * 5_000 + "x",
        "nested f-strings": "f'{" * 100 + "x" + "}'" * 100,
        "a lone surrogate": "x + '\ud800'",
        "a surrogate name": "\ud800",
        "a right-to-left override": "x = 1 \u202e + y",
        "deep indentation": "".join(" " * i + "if x:\n" for i in range(150)),
    }.items():
        yield Hostile(f"expression: {name}", expressed(text))
    others: list[Any] = [None, 5, [], {}, ["x"], True]
    for value in others:
        yield Hostile(f"expression: {value!r}", dump({"graph": {"expression": value}}))


def _modes() -> Iterator[Hostile]:
    vector = leaf(value=[1.0] * 4000)
    square = [vector, node("square", "x", name="s"), node("sum", "s")]
    many = leaf(value=[1.0] * 20_000)
    cases: dict[str, tuple[str, bytes]] = {
        "a Hessian of 20,000 variables": (
            "/v1/hessian",
            graph(many, node("square", "x", name="s"), node("sum", "s")),
        ),
        "a Jacobian of 20,000 by 20,000": ("/v1/jacobian", graph(many, node("square", "x"))),
        "vjp without cotangents": ("/v1/vjp", graph(*square)),
        "vjp of an unknown output": ("/v1/vjp", graph(*square, cotangents={"zz": 1})),
        "vjp of another shape": ("/v1/vjp", graph(*square, cotangents={"f": [1, 2]})),
        "jvp without tangents": ("/v1/jvp", graph(*square)),
        "jvp of an unknown input": ("/v1/jvp", graph(*square, tangents={"zz": 1})),
        "jvp of another shape": ("/v1/jvp", graph(*square, tangents={"x": [1, 2]})),
        "hvp without a vector": ("/v1/hvp", graph(*square)),
        "hvp of another shape": ("/v1/hvp", graph(*square, vector={"x": 1})),
        "check by an unknown method": ("/v1/check", graph(*square, method="guess")),
        "check with a step of nothing": ("/v1/check", graph(leaf(), step=0)),
        "check with a negative tolerance": ("/v1/check", graph(leaf(), tolerance=-1)),
        "gradient graph of order 10^9": ("/v1/gradient-graph", graph(*square, order=10**9)),
        "gradient graph of order -1": ("/v1/gradient-graph", graph(*square, order=-1)),
        "a diagram in an unknown format": ("/v1/diagram", graph(*square, format="exe")),
        "analyze with a shape of text": ("/v1/analyze", graph(shaped("x"), shapes={"x": "2"})),
        "analyze with a negative shape": ("/v1/analyze", graph(shaped("x"), shapes={"x": [-1]})),
        "analyze with a shape of 10^12": (
            "/v1/analyze",
            graph(shaped("x"), node("neg", "x"), shapes={"x": [10**12]}),
        ),
        "explain of an unknown output": ("/v1/explain", graph(*square, output="zz")),
    }
    for name, (path, body) in cases.items():
        yield Hostile(f"mode: {name}", body, path=path)
