"""Settings: typed, from the environment or from files, and a wrong one names its variable."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cdp.config import load_config


def test_defaults_need_no_environment() -> None:
    config = load_config({})
    assert (config.cdp_env, config.cdp_port, config.database_url) == ("development", 8000, "")


def test_secret_from_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-a-file\n", encoding="utf-8")
    assert load_config({"CDP_SECRET_KEY_FILE": str(path)}).cdp_secret_key == "from-a-file"


def test_variable_wins_over_its_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-a-file", encoding="utf-8")
    assert load_config({"CDP_SECRET_KEY_FILE": str(path), "CDP_SECRET_KEY": "plain"}).cdp_secret_key == "plain"


def test_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        load_config({"CDP_SECRET_KEY_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CDP_ENV", "staging"),
        ("CDP_PORT", "many"),
        ("CDP_PORT", "70000"),
        ("CDP_CURRENCY", "DOLLAR"),
        ("CDP_HOLDOUT_SHARE", "1"),
        ("CDP_LOG_FORMAT", "xml"),
    ],
)
def test_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load_config({variable: value})
    assert [error["loc"] for error in caught.value.errors()] == [(variable.lower(),)]


def test_encryption_keys_by_id() -> None:
    config = load_config({"CDP_ENCRYPTION_KEYS": "1:aaaaaaaaaaaaaaaa, 2:bbbbbbbbbbbbbbbb"})
    assert config.cdp_encryption_keys == {1: "aaaaaaaaaaaaaaaa", 2: "bbbbbbbbbbbbbbbb"}


@pytest.mark.parametrize("text", ["secret", "1:short", "256:aaaaaaaaaaaaaaaa", "x:aaaaaaaaaaaaaaaa"])
def test_malformed_encryption_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CDP_ENCRYPTION_KEYS"):
        load_config({"CDP_ENCRYPTION_KEYS": text})
