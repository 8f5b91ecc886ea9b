"""What a path asks of a request, declared where the path is: on its router.

The pipeline looks the route of a request up here before it calls FastAPI, so that every check
stands before the route. Plain FastAPI routers may be added to the application as well: their
paths take JSON, and need a key of any scope.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import RouteContext, iter_route_contexts

from service.http.media import OFFERED
from service.http.operation import Operation
from service.http.policy import Access, Policy
from service.settings import Scope

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class Router(APIRouter):
    """A FastAPI router whose paths share one policy.

    `offers` are the media types that its paths answer with; None where they negotiate by
    themselves. An operation brings its own.
    """

    def __init__(
        self,
        *operations: Operation,
        access: Access,
        offers: Sequence[str] | None = OFFERED,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        offers = None if offers is None else tuple(offers)
        self.policy = Policy(access, offers, offers)
        for operation in operations:
            operation.policy = Policy(access, operation.media, self.policy.offers)
            operation.tags = operation.tags or list(self.tags)
            self.routes.append(operation)

    def add_api_route(self, path: str, endpoint: Any, **options: Any) -> None:
        """Add a path as FastAPI does, under this router's policy."""
        super().add_api_route(path, endpoint, **options)
        self.routes[-1].policy = self.policy  # type: ignore[attr-defined]

    @property
    def operations(self) -> list[Operation]:
        """The operations among its routes."""
        return [route for route in self.routes if isinstance(route, Operation)]


class Target:
    """What a request is for: a route, its path as it was declared, and what it asks.

    `guarded` is whether a key is needed, `scope` the scope that it must have; `max_body` is
    the route's own limit of the body, as FastAPI's `max_body_size` declares it.
    """

    __slots__ = (
        "guarded",
        "matches",
        "max_body",
        "methods",
        "offers",
        "operation",
        "policy",
        "scope",
        "template",
    )

    def __init__(self, context: RouteContext | None = None) -> None:
        route = None if context is None else context.original_route
        self.operation = route if isinstance(route, Operation) else None
        self.policy: Policy | None = getattr(route, "policy", None)
        policy = self.policy or Policy()
        self.guarded = policy.access != "open"
        self.scope: Scope | None = policy.scope
        self.offers = policy.offers
        self.template: str = getattr(context, "path", None) or "other"
        self.methods = frozenset(getattr(context, "methods", None) or ())
        self.matches: Any = getattr(getattr(context, "path_regex", None), "match", None)
        self.max_body: int | None = getattr(context, "max_body_size", None)

    def takes(self, method: str) -> bool:
        """Whether the method is one of the route's; a mounted application takes them all."""
        return not self.methods or method in self.methods

    def with_another_method(self) -> Target:
        """The same path for a method that it doesn't take: the answer is a refusal."""
        other = Target()
        other.guarded, other.scope, other.template = self.guarded, self.scope, self.template
        other.max_body = self.max_body
        other.offers = self.policy.refusals if self.policy else None
        return other


NOWHERE = Target()
NOWHERE.offers = OFFERED
"""For a request whose path leads nowhere: a key is needed to be told so."""


class RouteTable:
    """The routes of an application, in the order in which FastAPI tries them."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._targets: list[Target] = []
        self._version = -1

    def targets(self) -> list[Target]:
        """All routes, those among them that were added since the last call."""
        version = self._app.router._get_routes_version()
        if version != self._version:
            contexts = iter_route_contexts(self._app.routes)
            self._targets = [t for t in map(Target, contexts) if t.matches is not None]
            self._version = version
        return self._targets

    def find(self, path: str, method: str) -> Target:
        """The route that a request is for. HEAD is answered as GET is."""
        if method == "HEAD":
            method = "GET"
        other: Target | None = None
        for target in self._at(path):
            if target.takes(method):
                return target
            other = other or target
        return NOWHERE if other is None else other.with_another_method()

    def allowed(self, path: str) -> str:
        """The methods of a path as the header Allow has them; "" where nothing is found."""
        targets = list(self._at(path))
        methods = {method for method in METHODS if any(t.takes(method) for t in targets)}
        if "GET" in methods:
            methods.add("HEAD")
        return ", ".join(sorted(methods | {"OPTIONS"})) if methods else ""

    def shortcut(self) -> dict[str, Target]:
        """The operations that need nothing of FastAPI, by their path."""
        contexts = iter_route_contexts(self._app.routes)
        return {
            context.path: Target(context)
            for context in contexts
            if isinstance(context.original_route, Operation)
            and context.path is not None
            and "{" not in context.path
            and not context.dependencies
        }

    def _at(self, path: str) -> Iterator[Target]:
        return (target for target in self.targets() if target.matches(path))
