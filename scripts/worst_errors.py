"""Write a table of each operator's worst errors, in units in the last place.

    python -m scripts.worst_errors [operator ...]

For float64 and float32: of values, gradients and Hessian-vector products, at inputs in the
ordinary range, and at every scale that the operator is registered with. There the unit
counts what the last digits of the inputs are worth, too: near a zero of a result no
arithmetic has more. The reference is mpmath; see tests/engine/more_digits.py.
"""

from __future__ import annotations

import sys

import numpy as np

from tests.engine.drawing import GATES
from tests.engine.scaled import errors, scaled_examples, scales_of

SEEDS = range(1, 4)


def main() -> None:
    """Print the table as Markdown, a row per operator and dtype."""
    wanted = set(sys.argv[1:])
    print("| operator | dtype | value | gradient | second | scaled: value | gradient | second |")
    print("|---|---|---|---|---|---|---|---|")
    for op in GATES:
        if wanted and op.name not in wanted:
            continue
        for dtype in ("float64", "float32"):
            worst = np.zeros((2, 3))
            for example in scaled_examples(op):
                for scale in ("ordinary", *scales_of(op)):
                    for seed in SEEDS:
                        with np.errstate(all="ignore"):
                            found = errors(op, example, scale, seed, dtype)
                        for order, one in enumerate(found):
                            row = int(scale != "ordinary")
                            off = one.conditioned if row else one.ulps
                            worst[row, order] = max(worst[row, order], off)
            cells = " | ".join(f"{off:.1f}" if off < 1000 else f"{off:.0e}" for off in worst.flat)
            print(f"| {op.name} | {dtype} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
