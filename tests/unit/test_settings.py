"""Settings: where values come from, what is refused and how, and that secrets stay secret."""

import logging
from pathlib import Path

import pytest

from deploy.secret import Secret
from deploy.settings import Settings, SettingsError, child_environment, load, write

PASSWORD = "hunter2-correct-horse"


def test_the_defaults_are_one_machine_with_everything_embedded() -> None:
    settings = load(environment={})
    assert settings == Settings()
    assert (settings.gateway.host, settings.gateway.port) == ("127.0.0.1", 8420)
    assert not settings.nats.url
    assert not settings.postgres.dsn
    assert settings.embedding.provider == "minilm"
    assert settings.limits.body_bytes_max == 1 << 20
    assert settings.jwt_key == settings.folder / "jwt.pem"


def test_the_environment_beats_the_file_and_overrides_beat_both(tmp_path: Path) -> None:
    file = tmp_path / "diarchy.toml"
    file.write_text('data = "from-file"\n[gateway]\nport = 1\nhost = "0.0.0.0"\n[limits]\nattempts_max = 9\n')
    environment = {
        "DIARCHY_CONFIG": str(file),
        "DIARCHY_GATEWAY_PORT": "2",
        "DIARCHY_DATA": "from-environment",
        "HOME": "x",
    }
    settings = load(environment=environment)
    assert (settings.gateway.host, settings.gateway.port, settings.limits.attempts_max) == ("0.0.0.0", 2, 9)  # noqa: S104
    assert settings.data == "from-environment"
    assert load(environment=environment, data="from-override").data == "from-override"


def test_lists_are_given_as_json() -> None:
    chat = '[{"name": "local", "base_url": "http://localhost:11434/v1", "model": "m", "timeout_s": 5}]'
    settings = load(environment={"DIARCHY_CHAT": chat})
    assert settings.chat[0].timeout_s == 5


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("GATEWAY_PORT", "tcp://10.0.0.1:80", "DIARCHY_GATEWAY_PORT: is neither a number nor JSON"),
        ("GATEWAY_PORT", "99999", r"gateway\.port: expected `int` <= 65535 \(from DIARCHY_GATEWAY_PORT\)"),
        ("LOG_LEVEL", "loud", r"log\.level: invalid enum value 'loud' \(from DIARCHY_LOG_LEVEL\)"),
        ("LIMITS_ATTEMPTS_MAX", "0", r"limits\.attempts_max: is 0; must be above zero"),
        ("LIMITS_WAIT_S_DEFAULT", "500", r"limits\.wait_s_default: is 500; must not exceed"),
        ("REPOSITORIES_ROOTS", '["srv"]', r"repositories\.roots\[0\]: must be an absolute path"),
        (
            "REPOSITORIES_HOSTS",
            '["git.example", "https://x.y"]',
            r"repositories\.hosts\[1\]: must be HOST or HOST:PORT",
        ),
        ("REPOSITORIES_HOSTS", '["ann:secret@git.example"]', r"repositories\.hosts\[0\]: must be HOST or HOST:PORT"),
        ("REPOSITORIES_LABEL_MAX", "secret", r"repositories\.label_max: "),
        ("NATS_URL", "localhost:4222", r"nats\.url: must begin with nats://"),
        ("POSTGRES_DSN", "mysql://x", r"postgres\.dsn: must begin with postgresql://"),
        ("EMBEDDING_PROVIDER", "openai", r"embedding\.url: is needed with provider openai"),
        (
            "CHAT",
            '[{"name": "a", "base_url": "http://a/v1", "model": "sophia"}]',
            r"chat\[0\].model: sophia is the name of a model of ours",
        ),
        (
            "CHAT",
            '[{"name": "a", "base_url": "http://a/v1", "model": "all-minilm"}]',
            r"chat\[0\].model: all-minilm is the name of a model that embeds",
        ),
        ("CHAT", '[{"name": "a"}]', r"chat\[0\]: object missing required field `base_url` \(from DIARCHY_CHAT\)"),
        ("CONFIG", "/no/such/file.toml", "cannot read the configuration /no/such/file.toml: No such file"),
    ],
)
def test_a_wrong_value_is_refused_naming_its_key_and_origin(variable: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(environment={f"DIARCHY_{variable}": value})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[gateway]\ncors_origins = []", r"gateway\.cors_origins: there is no such setting \(in .*a\.toml\)"),
        ("[gateway]\nprot = 1", r"gateway\.prot: there is no such setting \(in .*a\.toml\)"),
        ("nats = 5", r"nats: expected `object`, got `int`"),
        ("[nats]\npassword = 5", r"nats\.password: expected `str`"),
        ("=", "is not valid"),
    ],
)
def test_a_wrong_file_is_refused_naming_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        load(file, environment={})


def test_a_section_that_is_no_table_does_not_hide_behind_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("gateway = 5")
    with pytest.raises(SettingsError, match="gateway: must be a table"):
        load(file, environment={"DIARCHY_GATEWAY_PORT": "1"})


def test_secrets_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    settings = load(
        environment={"DIARCHY_NATS_PASSWORD": PASSWORD, "DIARCHY_POSTGRES_DSN": f"postgresql://u:{PASSWORD}@h/d"}
    )
    logging.getLogger("test").error("%s %r %s", settings, settings.nats, settings.nats.password)
    assert PASSWORD not in repr(settings) + str(settings) + f"{settings.nats.password}" + caplog.text
    assert settings.nats.password.reveal() == PASSWORD
    assert settings.nats.password == Secret(PASSWORD)
    assert settings.nats.password != PASSWORD


def test_a_child_reads_the_very_same_settings_from_a_file_only_its_owner_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIARCHY_GATEWAY_PORT", "1")
    settings = load(environment={"DIARCHY_NATS_PASSWORD": PASSWORD, "DIARCHY_LIMITS_ATTEMPTS_MAX": "7"})
    file = tmp_path / "running.json"
    write(settings, file)
    assert file.stat().st_mode & 0o777 == 0o600
    environment = child_environment(file, ready_fd=5)
    assert "DIARCHY_GATEWAY_PORT" not in environment
    assert environment["PATH"]
    child = load(environment=environment)
    assert child.ready_fd == 5
    assert child.nats == settings.nats
    assert child.limits == settings.limits
    assert child.gateway.port == 8420
