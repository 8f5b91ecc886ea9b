"""ONNX models as graphs, and graphs as ONNX models. Needs the extra `onnx`.

reading     from_onnx: a model of operators that both have becomes a graph
operators   what each ONNX operator means here
folding     constants of a model worked out beforehand, shapes among them
writing     to_onnx: a graph becomes a model
"""

from service.onnx.errors import OnnxError
from service.onnx.reading import Imported, from_onnx
from service.onnx.writing import to_onnx

__all__ = ["Imported", "OnnxError", "from_onnx", "to_onnx"]
