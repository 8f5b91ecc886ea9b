"""A tensor as a block of cells on its wire: large entries strong, negative ones with a dash.

An entry of exactly zero is hollow. Up to 6 rows of 8 are drawn entry by entry; of a larger
tensor a tile shows the entry of its part that is largest in size, and the norm stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.diagrams import numbers

MAX_ROWS, MAX_COLUMNS = 6, 8
CELL, GAP = 12.0, 1.0
TILES, TILE = 16, 3.0
FAINTEST = 0.14


@dataclass(frozen=True, slots=True)
class Cells:
    """Entries as parts of the largest in size, from -1 to 1 (NaN where not finite), by rows.

    `words` stand in place of cells where numbers say more: labels and other integers.
    """

    rows: tuple[tuple[float, ...], ...] = ()
    size: float = CELL
    words: str = ""

    @property
    def width(self) -> float:
        """In the picture's units."""
        return len(self.rows[0]) * (self.size + self.gap) if self.rows else 0.0

    @property
    def height(self) -> float:
        """In the picture's units."""
        return len(self.rows) * (self.size + self.gap)

    @property
    def gap(self) -> float:
        """Between two cells."""
        return GAP if self.size == CELL else 0.0


def cells(x: Any) -> Cells | None:
    """The cells of a tensor; None for a scalar, and for one without entries."""
    array = np.asarray(x)
    if array.ndim == 0 or array.size == 0:
        return None
    if array.dtype.kind != "f":
        flat = array.ravel()[:MAX_COLUMNS].tolist()
        more = "…" if array.size > MAX_COLUMNS else ""
        return Cells(words=" ".join([*map(numbers.number, flat), more]).rstrip())
    flat = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array[None]
    small = flat.shape[0] <= MAX_ROWS and flat.shape[1] <= MAX_COLUMNS and array.ndim <= 2
    table = flat if small else _tiles(flat)
    with np.errstate(all="ignore"):
        largest = np.max(np.abs(table), initial=0.0, where=np.isfinite(table))
        shares = np.where(np.isfinite(table), table / largest if largest else table, np.nan)
    rows = tuple(tuple(round(x, 3) or _tiny(x) for x in row) for row in shares.tolist())
    words = "" if small else f"‖{numbers.number(numbers.norm(array))}‖"
    return Cells(rows, CELL if small else TILE, words)


def _tiny(x: float) -> float:
    """A share that rounds to zero is not the zero that is drawn hollow."""
    return x if x == 0 else (1e-3 if x > 0 else -1e-3)


def _tiles(table: Any) -> Any:
    """The entry that is largest in size of every tile of a table."""
    for axis in (0, 1):
        count = min(TILES, table.shape[axis])
        starts = np.linspace(0, table.shape[axis], count, endpoint=False).astype(int)
        high = np.maximum.reduceat(table, starts, axis=axis)
        low = np.minimum.reduceat(table, starts, axis=axis)
        table = np.where(np.abs(low) > np.abs(high), low, high)
    return table
