"""What a path asks of a request before its route is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.settings import SCOPES, Scope

Access = Scope | Literal["any key", "open"]
"""Who may ask: keys with a scope, every key, or (for health checks) everybody."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask, and the media types that the answer may have; None for any.

    `refusals` are those of a path's answers to other methods than its own.
    """

    access: Access = "any key"
    offers: tuple[str, ...] | None = None
    refusals: tuple[str, ...] | None = None

    @property
    def scope(self) -> Scope | None:
        """The scope that a key must have; None where any key will do."""
        return self.access if self.access in SCOPES else None
