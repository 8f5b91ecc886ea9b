"""A million numbers in and out, by the service and by the plainest way."""

import base64
import sys

import msgspec
import numpy as np
import orjson
from timing import median_seconds, report

from service.engine.control import DEFAULT_LIMITS
from service.wire import answers, tensors

way, form = sys.argv[1:]
numbers = np.random.default_rng(0).normal(size=1_000_000)
text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
buffer = base64.b64encode(numbers.tobytes()).decode()
tagged = {
    "shape": [numbers.size],
    "dtype": "float64",
    "data": {"encoding": "base64", "buffer": buffer},
}
tagged_text = orjson.dumps(tagged)


decoder = msgspec.json.Decoder(tensors.TensorJson)


def read(body: bytes) -> object:
    return tensors.read_tensor(decoder.decode(body), "#/inputs/x", DEFAULT_LIMITS)


WAYS = {
    ("out", "json"): lambda: answers.encode({"x": numbers}, "json"),
    ("out", "orjson"): lambda: orjson.dumps({"x": numbers}, option=orjson.OPT_SERIALIZE_NUMPY),
    ("out", "base64"): lambda: answers.encode({"x": numbers}, "base64"),
    ("out", "plain"): lambda: base64.b64encode(numbers.tobytes()),
    ("in", "json"): lambda: read(text),
    ("in", "orjson"): lambda: np.asarray(orjson.loads(text)),
    ("in", "base64"): lambda: read(tagged_text),
    ("in", "plain"): lambda: np.frombuffer(base64.b64decode(buffer)).copy(),
}
report(seconds=median_seconds(WAYS[way, form]))
