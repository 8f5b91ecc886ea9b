"""Changed requests to every POST path: whatever is sent is never a fault of the service."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.fuzz.mutations import Mutator, send

COUNT = int(os.environ.get("GRADIENT_FUZZ_MUTATIONS", "1500"))
SEED = int(os.environ.get("GRADIENT_FUZZ_SEED", "1"))

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(COUNT + 120)]


def test_nothing_is_answered_500_and_the_pools_go_on() -> None:
    statuses, failed = asyncio.run(send(COUNT, SEED))
    print(f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}")
    assert failed == []
    assert sum(statuses.values()) == COUNT
    assert statuses[200] > COUNT / 50, "hardly a request was good enough to be computed"


def test_every_post_path_gets_its_share() -> None:
    mutator = Mutator(SEED)
    asked = {mutator.request()[0] for _ in range(5000)}
    assert asked == set(mutator.paths)
