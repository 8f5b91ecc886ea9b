"""What is kept, and what goes first."""

from __future__ import annotations

from service.engine.lru_cache import Recent


def test_what_was_unused_for_longest_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]
    assert (recent.hits, recent.misses, len(recent)) == (3, 1, 2)


def test_the_sizes_are_bounded_together() -> None:
    recent: Recent[str, int] = Recent(10, most_size=100)
    recent.put("a", 1, 40)
    recent.put("b", 2, 50)
    assert recent.size == 90
    recent.put("c", 3, 30)
    assert [recent.get(key) for key in "abc"] == [None, 2, 3]
    assert recent.size == 80


def test_what_is_too_large_is_not_kept_and_drops_nothing() -> None:
    recent: Recent[str, int] = Recent(10, most_size=100)
    recent.put("a", 1, 100)
    recent.put("b", 2, 101)
    assert [recent.get(key) for key in "ab"] == [1, None]


def test_a_value_put_again_counts_once() -> None:
    recent: Recent[str, int] = Recent(10, most_size=100)
    recent.put("a", 1, 60)
    recent.put("a", 2, 70)
    assert (recent.get("a"), recent.size, len(recent)) == (2, 70, 1)


def test_none_is_kept_where_there_is_room_for_none() -> None:
    recent: Recent[str, int] = Recent(0, most_size=0)
    recent.put("a", 1)
    assert recent.get("a") is None


def test_what_grows_is_counted_and_may_have_to_go() -> None:
    cache: Recent[str, int] = Recent(10, 100)
    cache.put("a", 1, 40)
    cache.put("b", 2, 40)
    cache.grow("b", 15)
    assert cache.size == 95
    cache.grow("b", 10)
    assert (cache.get("a"), cache.get("b"), cache.size) == (None, 2, 65)
    cache.grow("b", 50)
    assert (cache.get("b"), cache.size) == (None, 0)
    cache.grow("b", 1)
    assert cache.size == 0
