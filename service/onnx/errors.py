"""What can't be carried over between ONNX and graphs."""

from __future__ import annotations

from collections.abc import Sequence


class OnnxError(ValueError):
    """`reasons` lists everything that stands in the way, each with its node."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        shown = "; ".join(self.reasons[:10])
        more = f" (and {len(reasons) - 10} more)" if len(reasons) > 10 else ""
        super().__init__(shown + more)


class Unsupported(Exception):
    """One thing that can't be carried over; the reader adds the node."""
