"""What a way of running a graph of numbers gives: numbers by the position of their node."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from service.engine.control import Control


class NumbersPlan(Protocol):
    """How a graph of numbers runs. `leaves` are the values of its leaves in document order."""

    def forward(self, leaves: Sequence[float], control: Control | None) -> Sequence[Any]:
        """The value of every node by position; literals may stand behind them."""

    def gradient(
        self,
        leaves: Sequence[float],
        position: int,
        seed: float,
        wanted: Sequence[int] | None,
        control: Control | None,
    ) -> tuple[Sequence[Any], Sequence[float | None]]:
        """Values, and gradients of the node at `position`: None where no path leads.

        With `wanted`, only the gradients at those positions are sure to be right.
        """


class Numbers(Sequence[Any]):
    """An array of numbers read by position; None where `joined` says that no path leads.

    `slots` are the places by position, where those differ; at the positions `truths` stand
    truth values.
    """

    def __init__(
        self, array: Any, slots: Any = None, joined: Any = None, truths: Collection[int] = ()
    ) -> None:
        self._array, self._slots, self._joined, self._truths = array, slots, joined, truths

    def __len__(self) -> int:
        return len(self._array if self._slots is None else self._slots)

    def __getitem__(self, position: Any) -> Any:
        slot = position if self._slots is None else self._slots[position]
        if self._joined is not None and not self._joined[slot]:
            return None
        number = self._array.item(slot)
        return bool(number) if position in self._truths else number

    def __iter__(self) -> Iterator[Any]:
        numbers = (self._array if self._slots is None else self._array[self._slots]).tolist()
        for position in self._truths:
            numbers[position] = bool(numbers[position])
        if self._joined is None:
            return iter(numbers)
        joined = self._joined if self._slots is None else self._joined[self._slots]
        return (x if flag else None for x, flag in zip(numbers, joined.tolist(), strict=True))
