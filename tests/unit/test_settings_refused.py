"""Settings that are refused by name: variables that are no setting, limits that cannot be, servers that cannot be reached."""

import asyncio
import json
from pathlib import Path

import pytest

from adapters.jetstream_streams import DUPLICATES_S
from deploy.roles import run_roles
from deploy.settings import ELSEWHERE, Limits, SettingsError, load
from deploy.settings_checks import FLOORS


@pytest.mark.parametrize(
    ("variable", "complaint"),
    [
        ("DIARCHY_LIMITS_NOPE", r"^DIARCHY_LIMITS_NOPE: there is no such setting; unset it or correct its name$"),
        ("DIARCHY_GATEWAY_PROT", r"^DIARCHY_GATEWAY_PROT: .*; is DIARCHY_GATEWAY_PORT meant\?$"),
        ("DIARCHY_LIMITS_ATTEMPT_MAX", r"is DIARCHY_LIMITS_ATTEMPTS_MAX meant\?"),
        (
            "DIARCHY_LIMITS",
            r"^DIARCHY_LIMITS: is a table; set its keys one by one, such as DIARCHY_LIMITS_ATTEMPTS_MAX$",
        ),
        ("DIARCHY_NATS", r"^DIARCHY_NATS: is a table; .* DIARCHY_NATS_URL$"),
        ("DIARCHY_", r"^DIARCHY_: there is no such setting"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest(variable: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as refused:
        load(environment={variable: "hunter2"})
    assert "hunter2" not in str(refused.value)
    assert refused.value.field == variable


def test_variables_that_are_read_elsewhere_and_those_of_others_are_let_be() -> None:
    assert set(ELSEWHERE) == {"DIARCHY_CONFIG", "DIARCHY_PYTHON", "DIARCHY_TEST_DATA"}
    others = {"DIARCHY_PYTHON": "python3", "DIARCHY_TEST_DATA": "/x", "DIARCHYX": "1", "LIMITS_NOPE": "1"}
    others |= dict.fromkeys(
        ("DIARCHY_SERVICE_HOST", "DIARCHY_SERVICE_PORT_HTTP", "DIARCHY_PORT_8420_TCP_ADDR"), "10.0.0.1"
    )
    others |= {"DIARCHY_PORT": "tcp://10.0.0.1:8420", "DIARCHY_SERVICE_PORT": "8420"}
    assert load(environment=others) == load(environment={})


def test_every_limit_is_bounded_on_both_sides() -> None:
    for name in Limits.__struct_fields__:
        for value in ("0", "-1", "1" + "0" * 30, "NaN", "Infinity"):
            with pytest.raises(SettingsError, match=rf"^limits\.{name}: "):
                load(environment={f"DIARCHY_LIMITS_{name.upper()}": value})


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"attempts_max": 0}, "limits.attempts_max: is 0; must be above zero"),
        (
            {"pending_max": 1 << 63},
            "limits.pending_max: is 9223372036854775808; must not exceed 9223372036854775807",
        ),
        ({"hello_s": "inf"}, "limits.hello_s: is inf; must not exceed 9223372036 (seconds)"),
        ({"hello_s": "nan"}, "limits.hello_s: is nan; must be a number"),
        ({"spans_age_s_max": 10**10}, "limits.spans_age_s_max: is 10000000000; must not exceed 9223372036 (seconds)"),
        ({"retry_s_min": 9}, "limits.retry_s_min: is 9; must not exceed limits.retry_s_max (5)"),
        ({"wait_s_max": 10}, "limits.wait_s_default: is 30; must not exceed limits.wait_s_max (10)"),
        ({"member_s_max": 1}, "limits.member_s_max: is 1; must be more than twice limits.heartbeat_s (0.5)"),
        ({"snapshot_events": 10}, "limits.snapshot_events_min: is 50; must not exceed limits.snapshot_events (10)"),
        (
            {"bodies_bytes_max": 2 << 20},
            "limits.blob_bytes_max: is 33554432; must not exceed limits.bodies_bytes_max (2097152)",
        ),
        ({"in_stream_age_s_max": 119}, "limits.in_stream_age_s_max: is 119; must be at least 120"),
        ({"ack_wait_s": 0.5}, "limits.ack_wait_s: is 0.5; must be at least 1"),
        ({"heartbeat_s": 0.001}, "limits.heartbeat_s: is 0.001; must be at least 0.05"),
        ({"log_stream_bytes_max": 1 << 19}, "limits.log_stream_bytes_max: is 524288; must be at least 1048576"),
        ({"in_stream_bytes_max": 1}, "limits.in_stream_bytes_max: is 1; must be at least 1048576"),
        ({"spans_bytes_max": 1}, "limits.spans_bytes_max: is 1; must be at least 1048576"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_its_value_and_what_is_allowed(
    tmp_path: Path, limits: dict[str, object], complaint: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[limits]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items()))
    with pytest.raises(SettingsError) as refused:
        load(file, environment={})
    assert str(refused.value) == complaint
    assert refused.value.field == complaint.partition(":")[0]


def test_the_least_and_the_most_that_is_allowed_is_taken() -> None:
    limits: dict[str, float] = {
        "retry_s_min": 5,
        "ack_wait_s": 1,
        "in_stream_age_s_max": 120,
        "log_stream_bytes_max": 1 << 20,
    }
    limits |= {"wait_s_default": 120, "backlog_max": (1 << 63) - 1, "spans_age_s_max": 1, "heartbeat_s": 0.05}
    taken = load(environment={f"DIARCHY_LIMITS_{name.upper()}": str(value) for name, value in limits.items()}).limits
    assert {name: getattr(taken, name) for name in limits} == limits


def test_the_age_of_an_inbox_is_bounded_by_what_its_stream_remembers_of_repeats() -> None:
    assert FLOORS["in_stream_age_s_max"] == DUPLICATES_S


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e300"])
def test_a_time_out_is_finite(value: str) -> None:
    with pytest.raises(SettingsError, match=r"embedding\.timeout_s"):
        load(environment={"DIARCHY_EMBEDDING_TIMEOUT_S": value})


def test_a_call_of_a_model_may_take_as_long_as_all_that_are_asked() -> None:
    providers = [{"name": name, "base_url": "http://h/v1", "model": "m", "timeout_s": 60} for name in "ab"]
    environment = {"DIARCHY_CHAT": json.dumps(providers), "DIARCHY_LIMITS_MODEL_S_MAX": "120"}
    with pytest.raises(SettingsError, match=r"^limits\.model_s_max: is 120; must be above .* together \(120\)"):
        load(environment=environment)
    assert load(environment=environment | {"DIARCHY_LIMITS_MODEL_S_MAX": "121"}).limits.model_s_max == 121


def test_no_role_starts_with_a_rule_for_a_tool_that_is_none(tmp_path: Path) -> None:
    """Nobody would be asked about the tool that was meant. It is seen before any server is: none is there."""
    rules = [{"tools": ["*"]}, {"tools": ["business_insight", "busines_insight"], "quorum": 2}]
    config = tmp_path / "diarchy.json"
    config.write_text(json.dumps({"nats": {"url": "nats://127.0.0.1:1"}, "approvals": rules}))
    settings = load(config, environment={})
    with pytest.raises(
        SettingsError, match=r"^approvals\[1\]\.tools: busines_insight is none of the tools .*business_"
    ):
        asyncio.run(asyncio.wait_for(run_roles(["sophia"], settings), 20))
