import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import ApiKey, Settings, described

HASH = "0" * 64


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("GRADIENT_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


def test_every_setting_is_documented() -> None:
    assert [variable for variable, _, meaning in described() if not meaning] == []
    assert ("GRADIENT_MAX_BODY_BYTES", "16777216", "Bytes of a request's body.") in described()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIENT_MAX_BODY_BYTES", "1000")
    monkeypatch.setenv("GRADIENT_CORS_ORIGINS", '["https://a.example"]')
    monkeypatch.setenv("DATABASE_URL", "sqlite:///elsewhere.db")
    settings = Settings()
    assert settings.max_body_bytes == 1000
    assert settings.cors_origins == ("https://a.example",)
    assert settings.database_url.get_secret_value() == "sqlite:///elsewhere.db"
    assert Settings.defaults().max_body_bytes == 16 * 1024 * 1024


def test_the_engine_gets_its_limits() -> None:
    limits = Settings(max_nodes=7, max_flops=11).limits
    assert (limits.nodes, limits.flops) == (7, 11)


def test_keys_come_from_the_environment_and_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps([{"name": "b", "sha256": HASH, "scopes": ["grade"]}]))
    monkeypatch.setenv("GRADIENT_API_KEYS", json.dumps([{"name": "a", "sha256": HASH}]))
    monkeypatch.setenv("GRADIENT_API_KEYS_FILE", str(file))
    assert [key.name for key in Settings().all_keys()] == ["a", "b"]


def test_a_key_needs_a_hash_and_known_scopes() -> None:
    with pytest.raises(ValidationError):
        ApiKey(name="a", sha256="the key itself")
    with pytest.raises(ValidationError):
        ApiKey.model_validate({"name": "a", "sha256": HASH, "scopes": ["everything"]})


def test_a_fault_in_the_keys_does_not_print_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIENT_API_KEYS", "a-secret-key")
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert "a-secret-key" not in str(raised.value)


def test_the_database_url_is_not_shown() -> None:
    assert "hunter2" not in repr(Settings(database_url="postgresql://u:hunter2@h/d"))
