"""A stock Tesseract of f = (x + y) z, served as its own runtime serves it."""

import os
import sys
import tempfile
from pathlib import Path

API = """
from pydantic import BaseModel
from tesseract_core.runtime import Differentiable, Float64

class InputSchema(BaseModel):
    x: Differentiable[Float64]
    y: Differentiable[Float64]
    z: Differentiable[Float64]

class OutputSchema(BaseModel):
    f: Differentiable[Float64]

def apply(inputs: InputSchema) -> OutputSchema:
    return OutputSchema(f=(inputs.x + inputs.y) * inputs.z)

def vector_jacobian_product(inputs, vjp_inputs, vjp_outputs, cotangent_vector):
    g = cotangent_vector["f"]
    slopes = {"x": inputs.z, "y": inputs.z, "z": inputs.x + inputs.y}
    return {name: slopes[name] * g for name in vjp_inputs}
"""
folder = tempfile.mkdtemp()
os.chdir(folder)  # the runtime makes a folder of its own for every request
path = Path(folder) / "tesseract_api.py"
path.write_text(API)
os.environ["TESSERACT_API_PATH"] = str(path)

from tesseract_core.runtime.serve import serve  # noqa: E402

serve("127.0.0.1", int(sys.argv[1]), 1)
