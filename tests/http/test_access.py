from hashlib import sha256
from pathlib import Path

import pytest

from service.codes import Refusal
from service.http.access import Access, LocalSlots, SharedSlots, Slots, next_slot
from service.settings import ApiKey, Scope


def key(name: str, *scopes: str, rate: float | None = None, burst: int | None = None) -> ApiKey:
    return ApiKey.model_validate(
        {
            "name": name,
            "sha256": sha256(f"secret {name}".encode()).hexdigest(),
            "scopes": scopes,
            "rate": rate,
            "burst": burst,
        }
    )


def bearer(name: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer secret " + name.encode()}


def admitted(access: Access, headers: dict[bytes, bytes], scope: Scope | None) -> str:
    found = access.admit(headers, scope)
    assert found is not None
    return found.name


def refused(access: Access, headers: dict[bytes, bytes], scope: str) -> Refusal:
    with pytest.raises(Refusal) as raised:
        access.admit(headers, scope)  # type: ignore[arg-type]
    return raised.value


def test_without_keys_the_service_is_open() -> None:
    assert Access(()).admit({}, "admin") is None


def test_a_key_opens_its_scopes_only() -> None:
    access = Access([key("a", "compute"), key("b", "grade", "tasks"), key("root", "admin")])
    assert admitted(access, bearer("a"), "compute") == "a"
    assert admitted(access, {b"x-api-key": b"secret b"}, "tasks") == "b"
    assert admitted(access, bearer("a"), None) == "a"
    assert admitted(access, bearer("root"), "grade") == "root"
    assert refused(access, bearer("a"), "grade").code.name == "forbidden"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b""},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Basic c2VjcmV0IGE="},
        {b"authorization": b"Bearer secret A"},
        {b"x-api-key": "sécret".encode("latin-1")},
        {b"x-api-key": b"\xff\xfe"},
    ],
)
def test_a_wrong_key_is_refused_and_told_how_to_send_one(headers: dict[bytes, bytes]) -> None:
    refusal = refused(Access([key("a", "compute")]), headers, "compute")
    assert refusal.code.status == 401
    assert refusal.headers[0][0] == "www-authenticate"


def test_a_rate_lets_a_burst_through_and_then_says_when_to_come_back() -> None:
    access = Access([key("a", "compute", rate=0.5, burst=3), key("b", "compute")])
    for _ in range(3):
        access.admit(bearer("a"), "compute")
    refusal = refused(access, bearer("a"), "compute")
    assert refusal.code.name == "too_many_requests"
    assert 1 <= int(dict(refusal.headers)["retry-after"]) <= 2
    assert admitted(access, bearer("b"), "compute") == "b"


def test_the_default_rate_holds_for_keys_without_one() -> None:
    access = Access([key("a", "compute")], rate_limit=0.1)
    access.admit(bearer("a"), "compute")
    assert refused(access, bearer("a"), "compute").code.status == 429


def test_slots_come_back_with_time() -> None:
    arrival, wait = next_slot(0.0, 100.0, 1.0, 0.0)
    assert (arrival, wait) == (101.0, 0.0)
    assert next_slot(arrival, 100.25, 1.0, 0.0) == (101.0, 0.75)
    assert next_slot(arrival, 101.0, 1.0, 0.0) == (102.0, 0.0)


def test_a_number_from_before_the_machine_started_anew_locks_nobody_out() -> None:
    month = 30 * 86_400.0
    assert next_slot(month, 10.0, 1.0, 4.0) == (15.0, 1.0)
    assert next_slot(month, 10.0, 1.0, 0.0)[1] <= 1.0


def test_workers_share_a_rate(tmp_path: Path) -> None:
    shared: list[Slots] = [SharedSlots(tmp_path / "rates", 2) for _ in range(2)]
    granted = sum(shared[i % 2].take(1, 10.0, 30.0) == 0.0 for i in range(10))
    assert granted == 4
    assert shared[0].take(0, 10.0, 0.0) == 0.0
    assert LocalSlots(1).take(0, 10.0, 0.0) == 0.0
