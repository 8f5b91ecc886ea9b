"""PyTorch's own samples (OpInfo) for every operator that both have: value, gradient and
gradient of gradient in float64. Each skip is counted with its reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's samples need it")
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

from tests.oracles.comparing import COUNTED, Skip, hold_to_torch  # noqa: E402

pytestmark = pytest.mark.oracle

Case = tuple[str, list[Any], dict[str, Any]]
Adapter = Callable[..., Case]


def plain(name: str, **renamed: str) -> Adapter:
    """Tensors in order, keywords under our names, anything else skipped."""

    def adapt(x: Any, *args: Any, **kwargs: Any) -> Case:
        tensors = [x, *args]
        if not all(isinstance(t, torch.Tensor) for t in tensors):
            raise Skip("an argument is no tensor")
        for key in kwargs:
            if key not in renamed:
                raise Skip(f"keyword {key}")
        return name, tensors, {renamed[k]: v for k, v in kwargs.items()}

    return adapt


def axes(dim: Any) -> Any:
    return list(dim) if isinstance(dim, tuple | list | torch.Size) else dim


def reduction(name: str) -> Adapter:
    def adapt(x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Case:
        if kwargs:
            raise Skip(f"keyword {next(iter(kwargs))}")
        dim = axes(dim)
        if dim == []:
            dim = None
        if x.ndim == 0:
            dim = None
        return name, [x], {"axis": dim, "keepdims": keepdim}

    return adapt


def spread(name: str) -> Adapter:
    def adapt(x: Any, dim: Any = None, *, keepdim: bool = False, **kwargs: Any) -> Case:
        correction = kwargs.pop("correction", 1)
        unbiased = kwargs.pop("unbiased", None)
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if unbiased is not None:
            correction = int(unbiased)
        if kwargs or correction is None:
            raise Skip("keywords of another form")
        count = x.numel() if dim is None else 0
        if dim is not None:
            count = 1
            for d in dim if isinstance(dim, tuple | list) else [dim]:
                count *= x.shape[d] if x.ndim else 1
        if count <= correction:
            raise Skip("no degrees of freedom are left")
        return (
            name,
            [x],
            {
                "axis": None if x.ndim == 0 else axes(dim),
                "keepdims": keepdim,
                "correction": correction,
            },
        )

    return adapt


def along(name: str) -> Adapter:
    def adapt(x: Any, dim: int, **kwargs: Any) -> Case:
        if kwargs.get("dtype") is not None or x.ndim == 0:
            raise Skip("another dtype, or an axis of a scalar")
        return name, [x], {"axis": dim}

    return adapt


def clamp(x: Any, *args: Any, **kwargs: Any) -> Case:
    low, high = [*args, None, None][:2]
    low, high = kwargs.get("min", low), kwargs.get("max", high)
    if isinstance(low, torch.Tensor) or isinstance(high, torch.Tensor):
        raise Skip("bounds that are tensors")
    return "clip", [x], {"min": low, "max": high}


def scaled(name: str) -> Adapter:
    """add and sub, which torch gives a factor."""

    def adapt(x: Any, other: Any, *, alpha: float = 1) -> Case:
        if alpha != 1 or not isinstance(other, torch.Tensor):
            raise Skip("a factor alpha, or a number")
        return name, [x, other], {}

    return adapt


def shaped(name: str) -> Adapter:
    def adapt(x: Any, *shape: Any) -> Case:
        if len(shape) == 1 and not isinstance(shape[0], int):
            shape = tuple(shape[0])
        if name == "broadcast_to":
            lead = len(shape) - x.ndim
            shape = tuple(x.shape[i - lead] if n == -1 else n for i, n in enumerate(shape))
        return name, [x], {"shape": list(shape)}

    return adapt


def cat(tensors: Any, dim: int = 0) -> Case:
    if any(t.ndim == 1 and t.numel() == 0 for t in tensors) and len({t.ndim for t in tensors}) > 1:
        raise Skip("an empty vector beside larger ranks")
    return "concat", list(tensors), {"axis": dim}


def split(x: Any, size: Any, dim: int = 0) -> Case:
    if isinstance(size, int):
        n = x.shape[dim]
        size = [min(size, n - i) for i in range(0, n, size)]
    return "split", [x], {"axis": dim, "sizes": list(size)}


def gather(x: Any, dim: int, index: Any, **_: Any) -> Case:
    if x.ndim == 0 or x.ndim != index.ndim:
        raise Skip("an axis of a scalar")
    if any(
        a != b
        for i, (a, b) in enumerate(zip(x.shape, index.shape, strict=True))
        if i != dim % x.ndim
    ):
        raise Skip("indices for a part of the other axes")
    return "take_along_axis", [x, index], {"axis": dim}


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Case:
    if x.ndim == 0 or src.shape != index.shape:
        raise Skip("an axis of a scalar, or a part of the updates")
    if any(
        a != b for i, (a, b) in enumerate(zip(x.shape, src.shape, strict=True)) if i != dim % x.ndim
    ):
        raise Skip("indices for a part of the other axes")
    return "scatter_add", [x, index, src], {"axis": dim}


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Case:
    if float(alpha) != 1 or x.ndim == 0 or index.ndim == 0:
        raise Skip("a factor alpha, or a scalar")
    return "index_add", [x, index, source], {"axis": dim}


def index_select(x: Any, dim: int, index: Any) -> Case:
    if x.ndim == 0 or index.ndim == 0:
        raise Skip("an axis of a scalar")
    return "take", [x, index], {"axis": dim}


def pad(x: Any, pads: Any, mode: str = "constant", value: float | None = None) -> Case:
    if mode != "constant" or any(p < 0 for p in pads):
        raise Skip("another kind of margin, or a negative one")
    front, behind = [0] * x.ndim, [0] * x.ndim
    for i in range(len(pads) // 2):
        front[x.ndim - 1 - i], behind[x.ndim - 1 - i] = pads[2 * i], pads[2 * i + 1]
    return "pad", [x], {"pads": front + behind, "value": float(value or 0.0)}


def both_sides(value: Any, rank: int) -> list[int]:
    return [value] * rank if isinstance(value, int) else list(value) * (rank // len(value))


def conv(rank: int) -> Adapter:
    def adapt(
        x: Any,
        w: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Case:
        if isinstance(padding, str) or x.ndim != rank + 2:
            raise Skip("padding by a word, or no batch axis")
        attrs = {
            "strides": both_sides(stride, rank),
            "pads": both_sides(padding, rank) * 2,
            "dilations": both_sides(dilation, rank),
            "group": groups,
        }
        return "conv", [x, w] + ([] if bias is None else [bias]), attrs

    return adapt


def pool(name: str, rank: int) -> Adapter:
    def adapt(
        x: Any, kernel_size: Any = None, stride: Any = None, padding: Any = 0, *args: Any, **kw: Any
    ) -> Case:
        dilation = kw.pop("dilation", 1)
        include = kw.pop("count_include_pad", True)
        if kw.pop("ceil_mode", False) or kw.pop("return_indices", False) or args:
            raise Skip("ceil_mode, return_indices")
        if kw.pop("divisor_override", None) or x.ndim != rank + 2 or kw:
            raise Skip("another divisor, or no batch axis")
        attrs: dict[str, Any] = {
            "kernel_shape": both_sides(kernel_size, rank),
            "strides": both_sides(kernel_size if stride is None else stride, rank),
            "pads": both_sides(padding, rank) * 2,
        }
        if name == "max_pool":
            attrs["dilations"] = both_sides(dilation, rank)
        else:
            attrs["count_include_pad"] = include
        return name, [x], attrs

    return adapt


def layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Case:
    if weight is None and bias is not None:
        raise Skip("a shift without a scale")
    tensors = [x] + [t for t in (weight, bias) if t is not None]
    return "layer_norm", tensors, {"axis": -len(shape), "epsilon": eps}


def batch_norm(
    x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, **kwargs: Any
) -> Case:
    if weight is None or bias is None:
        raise Skip("no scale or shift")
    training, eps = kwargs.pop("training", False), kwargs.pop("eps", 1e-5)
    if not training:
        raise Skip("given statistics, for which torch has no gradient")
    return "batch_norm", [x, weight, bias], {"epsilon": eps}


def loss(name: str, **names: str) -> Adapter:
    def adapt(x: Any, target: Any, *args: Any, **kwargs: Any) -> Case:
        attrs = {"reduction": kwargs.pop("reduction", "mean")}
        for theirs, ours in names.items():
            if theirs in kwargs:
                attrs[ours] = kwargs.pop(theirs)
        if args or any(v is not None and v is not False for v in kwargs.values()):
            raise Skip("weights, ignored labels or smoothing")
        labelled = name in ("cross_entropy", "nll")
        if labelled and (x.ndim > 2 or x.shape[-1] == 0):
            raise Skip("classes on another axis than the last")
        if x.ndim == 0:
            raise Skip("an axis of a scalar")
        if labelled and not target.is_floating_point() and bool((target < 0).any()):
            raise Skip("weights, ignored labels or smoothing")
        return name, [x, target], attrs

    return adapt


def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, **kw: Any) -> Case:
    if kw or x.numel() == 0:
        raise Skip("another dtype, or nothing in it")
    order = {float("inf"): "inf", float("-inf"): "-inf"}.get(float(ord), float(ord))
    if isinstance(order, float) and order < 1 and order != 0:
        raise Skip("an order below 1")
    axis = None if x.ndim == 0 else axes(dim)
    return "vector_norm", [x], {"ord": order, "axis": axis, "keepdims": keepdim}


def matrix_norm(
    x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, **kw: Any
) -> Case:
    if kw or tuple(dim) != (-2, -1):
        raise Skip("other axes, or another dtype")
    word = ord if isinstance(ord, str) else str(ord).removesuffix(".0")
    return "matrix_norm", [x], {"ord": word, "keepdims": keepdim}


def einsum(tensors: Any, equation: str) -> Case:
    return "einsum", list(tensors), {"equation": equation}


def softmax(name: str) -> Adapter:
    def adapt(x: Any, dim: int, **kwargs: Any) -> Case:
        if kwargs.get("dtype") is not None or x.ndim == 0:
            raise Skip("another dtype, or an axis of a scalar")
        return name, [x], {"axis": dim}

    return adapt


def keyword_only(name: str, *names: str) -> Adapter:
    """One tensor, and arguments under their names."""

    def adapt(x: Any, *args: Any, **kwargs: Any) -> Case:
        attrs = {**dict(zip(names, args, strict=False)), **kwargs}
        attrs.pop("inplace", None)
        if any(key not in names for key in attrs):
            raise Skip("keywords of another form")
        return name, [x], attrs

    return adapt


def roll(x: Any, shifts: Any, dims: Any = None) -> Case:
    if isinstance(shifts, tuple) or isinstance(dims, tuple) or dims is None:
        raise Skip("several axes at once")
    return "roll", [x], {"shift": shifts, "axis": dims}


def repeat_interleave(x: Any, repeats: Any, dim: Any = None, **_: Any) -> Case:
    if not isinstance(repeats, int) or dim is None or x.ndim == 0:
        raise Skip("a count per element, or no axis")
    return "repeat", [x], {"repeats": repeats, "axis": dim}


def squeeze(x: Any, dim: Any = None) -> Case:
    if dim is None or x.ndim == 0:
        return "squeeze", [x], {"axis": None}
    dims = [dim] if isinstance(dim, int) else list(dim)
    return "squeeze", [x], {"axis": [d for d in dims if x.shape[d] == 1]}


def unary(name: str) -> Adapter:
    return plain(name)


def symmetric(name: str) -> Adapter:
    def adapt(x: Any, *, UPLO: str = "L", upper: bool = False) -> Case:
        if upper or not bool((x == x.mT).all()):
            raise Skip("the upper triangle, or a matrix that is not symmetric")
        return name, [x], {}

    return adapt


def solve(a: Any, b: Any, *, left: bool = True) -> Case:
    if not left or (b.ndim > 1 and b.ndim == a.ndim - 1):
        raise Skip("from the right, or stacks of vectors, which NumPy reads as matrices")
    return "solve", [a, b], {}


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Case:
    if beta != 1 or bool((x > threshold).any()):
        raise Skip("another beta, or torch's straight part")
    return "softplus", [x], {}


ADAPTERS: dict[str, Adapter] = {
    **{
        name: unary(ours)
        for name, ours in {
            "exp": "exp",
            "log": "log",
            "sqrt": "sqrt",
            "square": "square",
            "sign": "sign",
            "abs": "abs",
            "sin": "sin",
            "cos": "cos",
            "tanh": "tanh",
            "exp2": "exp2",
            "expm1": "expm1",
            "log1p": "log1p",
            "log2": "log2",
            "log10": "log10",
            "floor": "floor",
            "ceil": "ceil",
            "tan": "tan",
            "asin": "asin",
            "acos": "acos",
            "atan": "atan",
            "sinh": "sinh",
            "cosh": "cosh",
            "asinh": "asinh",
            "acosh": "acosh",
            "atanh": "atanh",
            "erf": "erf",
            "sigmoid": "sigmoid",
            "neg": "negative",
            "reciprocal": "reciprocal",
            "nn.functional.relu": "relu",
            "nn.functional.selu": "selu",
            "nn.functional.silu": "silu",
            "trace": "trace",
            "mul": "multiply",
            "pow": "pow",
            "float_power": "pow",
            "maximum": "maximum",
            "minimum": "minimum",
            "remainder": "remainder",
            "matmul": "matmul",
            "mv": "matmul",
            "mm": "matmul",
            "bmm": "matmul",
            "dot": "matmul",
            "outer": "outer",
            "linalg.inv": "inv",
            "linalg.det": "det",
            "det": "det",
            "linalg.slogdet": "slogdet",
            "inverse": "inv",
        }.items()
    },
    "round": lambda x, **kw: plain("round")(x, **kw),
    "add": scaled("add"),
    "sub": scaled("subtract"),
    "div": lambda x, y, *, rounding_mode=None: (
        plain("divide")(x, y)
        if rounding_mode is None
        else plain("divide")(x, y, rounding_mode=rounding_mode)
    ),
    "true_divide": plain("divide"),
    "clamp": clamp,
    "where": lambda x, condition, other: ("where", [condition, x, other], {}),
    "sum": reduction("sum"),
    "mean": reduction("mean"),
    "amax": reduction("max"),
    "amin": reduction("min"),
    "prod": reduction("prod"),
    "logsumexp": reduction("logsumexp"),
    "var": spread("var"),
    "std": spread("std"),
    "cumsum": along("cumulative_sum"),
    "cumprod": along("cumulative_prod"),
    "softmax": softmax("softmax"),
    "log_softmax": softmax("log_softmax"),
    "linalg.vector_norm": vector_norm,
    "linalg.matrix_norm": matrix_norm,
    "linalg.vecdot": lambda x, y, dim=-1: ("vecdot", [x, y], {"axis": dim}),
    "linalg.eigh": symmetric("eigh"),
    "linalg.cholesky": symmetric("cholesky"),
    "linalg.solve": solve,
    "linalg.svd": lambda x, full_matrices=True: (
        ("svd", [x], {}) if not full_matrices else (_ for _ in ()).throw(Skip("full matrices"))
    ),
    "linalg.svdvals": lambda x: ("svd", [x], {}),
    "linalg.qr": lambda x, mode="reduced": (
        ("qr", [x], {}) if mode == "reduced" else (_ for _ in ()).throw(Skip(f"mode {mode}"))
    ),
    "einsum": einsum,
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: (
        ("diagonal", [x], {"offset": offset})
        if (dim1 % x.ndim, dim2 % x.ndim) == (x.ndim - 2, x.ndim - 1)
        else (_ for _ in ()).throw(Skip("other axes than the last two"))
    ),
    "tril": keyword_only("tril", "k"),
    "triu": keyword_only("triu", "k"),
    "reshape": shaped("reshape"),
    "view": shaped("reshape"),
    "expand": shaped("broadcast_to"),
    "broadcast_to": shaped("broadcast_to"),
    "permute": lambda x, *dims: (
        "permute_dims",
        [x],
        {"axes": list(dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)},
    ),
    "squeeze": squeeze,
    "unsqueeze": keyword_only("expand_dims", "axis"),
    "flip": lambda x, dims: ("flip", [x], {"axis": axes(dims)}),
    "roll": roll,
    "tile": lambda x, dims: ("tile", [x], {"repeats": list(dims)}),
    "repeat_interleave": repeat_interleave,
    "movedim": lambda x, source, destination: (
        ("moveaxis", [x], {"source": source, "destination": destination})
        if isinstance(source, int)
        else (_ for _ in ()).throw(Skip("several axes at once"))
    ),
    "nn.functional.pad": pad,
    "gather": gather,
    "take_along_dim": lambda x, index, dim=None: (
        ("take_along_axis", [x, index], {"axis": dim})
        if dim is not None and x.ndim
        else (_ for _ in ()).throw(Skip("no axis"))
    ),
    "scatter_add": scatter_add,
    "index_add": index_add,
    "index_select": index_select,
    "cat": cat,
    "stack": lambda tensors, dim=0: ("stack", list(tensors), {"axis": dim}),
    "split": split,
    "unbind": lambda x, dim=0: ("unstack", [x], {"axis": dim}),
    "nn.functional.softplus": softplus,
    "nn.functional.leaky_relu": keyword_only("leaky_relu", "alpha"),
    "nn.functional.elu": keyword_only("elu", "alpha"),
    "nn.functional.gelu": keyword_only("gelu", "approximate"),
    "nn.functional.conv1d": conv(1),
    "nn.functional.conv2d": conv(2),
    "nn.functional.max_pool1d": pool("max_pool", 1),
    "nn.functional.max_pool2d": pool("max_pool", 2),
    "nn.functional.avg_pool1d": pool("average_pool", 1),
    "nn.functional.avg_pool2d": pool("average_pool", 2),
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.mse_loss": loss("mse"),
    "nn.functional.l1_loss": loss("l1"),
    "nn.functional.huber_loss": loss("huber", delta="delta"),
    "nn.functional.cross_entropy": loss("cross_entropy"),
    "nn.functional.nll_loss": loss("nll"),
    "nn.functional.binary_cross_entropy_with_logits": loss("binary_cross_entropy"),
}

ONE_OUTPUT = {"linalg.svd": {1: 1}, "linalg.svdvals": {0: 1}, "linalg.eigh": {0: 0}}
"""Which of torch's outputs is which of ours, where the others are only given up to a sign."""

OPS = [op for op in op_db if op.name in ADAPTERS and not op.variant_test_name.startswith("_")]


@pytest.mark.parametrize(
    "op", OPS, ids=[f"{op.name}-{op.variant_test_name or 'plain'}-{i}" for i, op in enumerate(OPS)]
)
def test_operator_agrees_with_torch(op: Any) -> None:
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    for sample in samples:
        try:
            name, tensors, attrs = ADAPTERS[op.name](sample.input, *sample.args, **sample.kwargs)
            if any(t.numel() == 0 for t in tensors):
                raise Skip("an empty tensor")
            if any(t.is_complex() for t in tensors):
                raise Skip("complex numbers")
            tensors = [t.double() if t.is_floating_point() else t for t in tensors]
        except Skip as reason:
            COUNTED[f"skipped: {op.name}: {reason}"] += 1
            continue
        except TypeError as error:
            COUNTED[f"skipped: {op.name}: arguments of another form ({error})"] += 1
            continue

        def function(*inputs: Any, op: Any = op, sample: Any = sample, given: Any = tensors) -> Any:
            place = {id(old): new for old, new in zip(given, inputs, strict=True)}

            def swapped(value: Any) -> Any:
                if isinstance(value, torch.Tensor):
                    return place.get(id(value), value)
                if isinstance(value, tuple | list) and any(
                    isinstance(v, torch.Tensor) for v in value
                ):
                    return type(value)(swapped(v) for v in value)
                return value

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return op(
                    swapped(sample.input),
                    *map(swapped, sample.args),
                    **{k: swapped(v) for k, v in sample.kwargs.items()},
                )

        hold_to_torch(
            function,
            name,
            tensors,
            attrs,
            outputs=ONE_OUTPUT.get(op.name),
            order=2 if op.supports_gradgrad else 1,
            rtol=1e-7 if op.name.startswith("linalg") else 1e-9,
        )
        compared += 1
    COUNTED[f"compared: {op.name}"] += compared
    if not compared:
        pytest.skip(f"no sample of {op.name} {op.variant_test_name} is in the catalogue")
