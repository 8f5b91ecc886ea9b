"""Special functions that NumPy has not: of the error function's family, and of gamma's.

Sources of the formulas: NIST's Digital Library of Mathematical Functions, chapters 5
(gamma, polygamma) and 7 (error functions).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from service.engine.operators._define import unary
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, Scales
from service.engine.shapes import elementwise_float

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2.0 * math.pi)
_ROOT_HALF = math.sqrt(0.5)
_ROOT_HALF_REST = -4.833646656726457e-17  # sqrt(1/2) - _ROOT_HALF


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays in double precision, whose result takes its input's dtype."""

    def wrapped(x: Any, **attrs: Any) -> Any:
        array = np.asarray(x)
        dtype = array.dtype if array.dtype.kind == "f" else np.float64
        with np.errstate(all="ignore"):
            result = function(np.asarray(array, np.float64), **attrs)
        return np.asarray(result).astype(dtype)[()]

    return wrapped


def _erfc(x: Any) -> Any:
    return np.asarray(np.frompyfunc(math.erfc, 1, 1)(x), float)


def _erf(x: Any) -> Any:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), float)


def _erfinv(x: Any) -> Any:
    """Halley's method on erf near 0 and on erfc in the tails, from Winitzki's approximation."""
    size = np.abs(x)
    logarithm = np.log1p(-size * size)
    half = 2.0 / (math.pi * 0.147) + 0.5 * logarithm
    y = np.where(
        size < 0.1, 0.5 * _ROOT_PI * size, np.sqrt(np.sqrt(half * half - logarithm / 0.147) - half)
    )
    inner = size < 0.5
    rest = 1.0 - size
    for _ in range(4):
        error = np.where(inner, _erf(y) - size, rest - _erfc(y))
        step = error * (0.5 * _ROOT_PI) * np.exp(y * y)
        y = y - np.where(np.isfinite(step), step / (1.0 + y * step), 0.0)
    y = np.where(size == 1.0, np.inf, np.where(size < 1.0, y, np.nan))
    return np.copysign(y, x)


def _split(x: Any) -> tuple[Any, Any]:
    """Veltkamp's split of a number into two of half the digits."""
    high = 134217729.0 * x
    high = high - (high - x)
    return high, x - high


def _ndtr(x: Any) -> Any:
    """erfc(-x/√2)/2, with what the argument loses in rounding put back."""
    t = -x * _ROOT_HALF
    (a, b), (c, d) = _split(-x), _split(_ROOT_HALF)
    rest = ((a * c - t) + a * d + b * c) + b * d - x * _ROOT_HALF_REST
    slope = np.exp(-t * t) * (2.0 / _ROOT_PI)
    value = 0.5 * (_erfc(t) - np.where(np.isfinite(rest), slope * rest, 0.0))
    return np.where(np.isnan(x), x, value)


_TAIL = -2.0


def _mills(x: Any, start: int = 1, terms: int = 200) -> Any:
    """The continued fraction t + 1/(t + 2/(t + …)), t = -x, from its term `start` on."""
    t = np.maximum(-x, -_TAIL)
    fraction = t
    for k in range(terms, start - 1, -1):
        fraction = t + k / fraction
    return fraction


def _log_ndtr(x: Any) -> Any:
    tail = -0.5 * x * x - np.log(_mills(x) * _ROOT_2PI)
    inner = np.where(x > 0.0, np.log1p(-_ndtr(-x)), np.log(_ndtr(np.maximum(x, -30.0))))
    return np.where(x < -30.0, tail, inner)


def _inverse_mills(x: Any, *, excess: bool) -> Any:
    """The normal density over the distribution; with `excess`, that plus x."""
    # exp(-x²/2) as a product: the square of `near` is exact, and the rest is small.
    near = np.round(np.clip(x, -1e3, 1e3) * 16.0) / 16.0
    bell = np.exp(-0.5 * near * near) * np.exp(-0.5 * (x - near) * (x + near))
    inner = bell / (_ROOT_2PI * _ndtr(np.maximum(x, _TAIL)))
    tail = 1.0 / _mills(x, 2) if excess else _mills(x)
    return np.where(x < _TAIL, tail, np.where(np.isinf(x), 0.0, inner) + (x if excess else 0.0))


unary(
    "erfinv",
    _in_double(_erfinv),
    lambda xp, g, y, x: g * (_ROOT_PI / 2.0) / xp.gaussian(y),
    plain=_erfinv,
    scalar="erfinv({0})",
    scales=Scales(reach=((-0.9, 0.9),)),
    summary="The inverse of erf, for inputs between -1 and 1.",
    formula="erfinv(x)",
    gradient="dx = g * sqrt(π) / 2 * exp(y**2)",
    kinks="±1 gives ±inf.",
    interval=(-0.8, 0.8),
)
unary(
    "ndtr",
    _in_double(_ndtr),
    lambda xp, g, y, x: g * (xp.gaussian(x, scale=0.5) / _ROOT_2PI),
    aliases=("norm_cdf",),
    onnx=lambda xp, x: 0.5 * (1.0 + xp.erf(x * _ROOT_HALF)),
    scalar="ndtr({0})",
    scales=Scales(reach=((-37.0, 9.0),)),
    summary="The normal distribution's share below the input.",
    formula="(1 + erf(x / sqrt(2))) / 2",
    gradient="dx = g * φ(x)",
    code="0.5 * np.vectorize(math.erfc)(-{0} / np.sqrt(2.0))",
)


def _log_ndtr_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    return g * xp.inverse_mills(x, excess=False)


unary(
    "log_ndtr",
    _in_double(_log_ndtr),
    _log_ndtr_rule,
    aliases=("norm_logcdf",),
    plain=_log_ndtr,
    scalar="log_ndtr({0})",
    scales=Scales(reach=((-1e6, 9.0),)),
    summary="The logarithm of ndtr, exact far below 0 too.",
    formula="log ndtr(x)",
    gradient="dx = g * φ(x) / Φ(x)",
)


def _inverse_mills_rule(xp: Any, g: Any, y: Any, x: Any, excess: bool) -> Any:
    ratio = xp.inverse_mills(x, excess=False)
    slope = -(ratio * xp.inverse_mills(x, excess=True))
    return g * (1.0 + slope) if excess else g * slope


unary(
    "inverse_mills",
    _in_double(_inverse_mills),
    _inverse_mills_rule,
    scalar="inverse_mills({0}, excess={excess})",
    attributes={"excess": Attribute("bool", False, "give what it is above -x")},
    plain=_inverse_mills,
    scales=Scales(reach=((-3.0, 9.0),)),
    summary="The normal density over its distribution function: the slope of log_ndtr.",
    formula="φ(x) / Φ(x)",
    gradient="dx = -g * y * (x + y)",
    kinks="Far below 0 the second derivative cancels to nothing but rounding.",
)


def _lgamma_of(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole, or beyond the largest number
        return math.inf


def _lgamma(x: Any) -> Any:
    """The C library's, and around its zeros 1 and 2 the series in ζ(k) - 1."""
    first, second = np.abs(x - 1.0) <= 0.5, np.abs(x - 2.0) < 0.5
    value = np.asarray(np.frompyfunc(_lgamma_of, 1, 1)(x), float)
    if not np.any(first | second):
        return value
    h = np.where(first, x - 1.0, np.where(second, x - 2.0, 0.0))
    series = np.zeros_like(h)
    for k in range(27, 1, -1):
        series = (series + _LGAMMA_SERIES[k]) * h
    series = (series + (1.0 - np.euler_gamma)) * h
    return np.where(first, series - np.log1p(h), np.where(second, series, value))


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
_ROOT = (1.4616321449683622, 9.549995429965697e-17)
"""The positive zero of digamma, in two parts."""


def _polygamma_far(x: Any, order: int) -> Any:
    """The asymptotic series of a large argument, reached by steps of one."""
    least = 12 + order
    steps = np.ceil(np.clip(least - x, 0.0, least))
    total = np.zeros_like(x)
    sign = -1.0 if order % 2 == 0 else 1.0
    factorial = float(math.factorial(order))
    for step in range(int(np.max(steps, initial=0.0, where=np.isfinite(steps)))):
        term = sign * factorial / (x + step) ** (order + 1)
        total = total + np.where(step < steps, term, 0.0)
    z = x + steps
    square = 1.0 / (z * z)
    series = np.zeros_like(x)
    for k in range(len(_BERNOULLI), 0, -1):
        weight = _BERNOULLI[k - 1] * math.factorial(2 * k + order - 1) / math.factorial(2 * k)
        series = (series + weight) * square
    if order == 0:
        return np.log(z) - 0.5 / z - series + total
    lead = math.factorial(order - 1) * (1.0 + 0.5 * order / z) + series
    return sign * lead / z**order + total


def _cotangent_slope(order: int) -> Any:
    """The polynomial in cot(u) that is its derivative of that order."""
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order):
        polynomial = -(polynomial.deriv() * np.polynomial.Polynomial([1.0, 0.0, 1.0]))
    return polynomial


def _polygamma(x: Any, *, order: int) -> Any:
    """By the series from 0 on, by reflection below it."""
    order = int(order)
    left = x < 0.5
    value = _polygamma_far(np.where(left, 1.0 - x, x), order)
    if order == 0 and np.any(near := np.abs(x - _ROOT[0]) < 0.48):
        value = np.where(near, _near_root(x), value)
    if not np.any(left):
        return value
    cotangent = 1.0 / np.tan(math.pi * (x - np.round(x)))
    slope = math.pi ** (order + 1) * _cotangent_slope(order)(cotangent)
    reflected = (-1.0) ** order * value - slope
    pole = (x == np.round(x)) & left
    at_pole = np.nan if order == 0 else np.inf if order % 2 else np.nan
    return np.where(left, np.where(pole, at_pole, reflected), value)


def _near_root(x: Any) -> Any:
    """Digamma by its Taylor series around its zero, which has all digits there."""
    h = (x - _ROOT[0]) - _ROOT[1]
    total = np.zeros_like(x)
    for coefficient in _ROOT_SERIES[::-1]:
        total = (total + coefficient) * h
    return total


def _coefficient(x: float, order: int) -> float:
    return float(_polygamma_far(np.array([x]), order)[0]) / math.factorial(order)


_ROOT_SERIES = tuple(_coefficient(_ROOT[0], order) for order in range(1, 36))
_LGAMMA_SERIES = (0.0, 0.0, *(_coefficient(2.0, k - 1) / k for k in range(2, 28)))
"""(-1)^k (ζ(k) - 1) / k for lgamma around 2, from k = 2 on."""


def _digamma(x: Any) -> Any:
    return _polygamma(x, order=0)


REGISTRY.register(
    Operator(
        name="polygamma",
        group="unary",
        inputs=("x",),
        numbers="numeric",
        elementwise=True,
        scalar="polygamma({0}, order={order})",
        summary="The derivative of digamma of a given order.",
        infer=elementwise_float,
        forward=_in_double(_polygamma),
        plain=_polygamma,
        vjp=(lambda xp, g, y, x, order: g * xp.polygamma(x, order=order + 1),),
        attributes={"order": Attribute("int", 1, "how often digamma is derived", minimum=0)},
        formula="d^order/dx^order digamma(x)",
        gradient_formula="dx = g * polygamma(x, order + 1)",
        scales=Scales(),  # digamma's derivatives are held to their digits
        domain=Domain(
            ranges=((0.3, 4.0),),
            examples=(
                Example(((3,),)),
                Example(((),), {"order": 2}),
                Example(((2, 2),), {"order": 0}),
            ),
        ),
    )
)


unary(
    "digamma",
    _in_double(_digamma),
    lambda xp, g, y, x: g * xp.polygamma(x, order=1),
    plain=_digamma,
    aliases=("psi",),
    scalar="digamma({0})",
    scales=Scales(reach=((1e-6, 1e6),)),
    summary="The slope of lgamma.",
    formula="Γ'(x) / Γ(x)",
    gradient="dx = g * polygamma(x, 1)",
    kinks="NaN at 0 and the negative integers, its poles.",
    interval=(0.3, 4.0),
)
unary(
    "lgamma",
    _in_double(_lgamma),
    lambda xp, g, y, x: g * xp.digamma(x),
    aliases=("gammaln",),
    scalar="lgamma({0})",
    scales=Scales(reach=((1e-6, 1e6),), near=(1.0, 2.0)),
    summary="The logarithm of the gamma function's absolute value.",
    formula="log|Γ(x)|",
    gradient="dx = g * digamma(x)",
    code="np.vectorize(math.lgamma)({0})",
    kinks="inf at 0 and the negative integers, its poles.",
    interval=(0.3, 4.0),
)
