"""Logs: JSON with the run they belong to, text on a terminal, no secrets in either."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from adapters.otel import OtelTelemetry
from deploy.logs import configure
from deploy.settings import Log
from runtime.masking import mask

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(autouse=True)
def _own_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_line_is_json_and_names_its_run() -> None:
    stream = io.StringIO()
    configure("sophia", Log(form="auto"), stream=stream)
    logger = logging.getLogger("test")
    logger.debug("not at this level")
    with OtelTelemetry("sophia").span("handle", run=RUN) as span:
        logger.warning("line one\nwith %s", "a number")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("broken")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["role"], first["logger"]) == ("warning", "sophia", "test")
    assert first["message"] == "line one\nwith a number"
    assert first["correlation"] == RUN
    assert span.traceparent == f"00-{first['trace_id']}-{first['span_id']}-01"
    assert "ZeroDivisionError" in second["stack"]
    assert "correlation" not in second


def test_text_for_people() -> None:
    stream = io.StringIO()
    configure("sophia", Log(form="text", level="debug"), stream=stream)
    with OtelTelemetry("sophia").span("handle", run=RUN):
        logging.getLogger("test").debug("hello")
    assert stream.getvalue().endswith(f" debug   sophia hello [{RUN}]\n")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("connecting to nats://diarchy:hunter2@127.0.0.1:4222", "connecting to nats://diarchy:***@127.0.0.1:4222"),
        ("postgresql://u:p%40ss@/db?host=x failed", "postgresql://u:***@/db?host=x failed"),
        ("Authorization: Bearer abc.def-ghi123", "***"),
        ('{"password": "hunter2", "user": "u"}', '{"password": "***", "user": "u"}'),
        ("api_key=sk-1234567890abcdefgh, retry", "api_key=***, retry"),
        ("bad key sk-secret.", "bad key ***."),
        ("risk-management and a sk-tree", "risk-management and a sk-tree"),
        ("token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl seen", "token *** seen"),
        ("input_tokens=15 output_tokens: 3", "input_tokens=15 output_tokens: 3"),
        ("http://127.0.0.1:8420/v1/ask at 12:30", "http://127.0.0.1:8420/v1/ask at 12:30"),
    ],
)
def test_what_looks_like_a_secret_is_masked(said: str, kept: str) -> None:
    if kept == "***":
        assert "abc.def" not in mask(said)
    else:
        assert mask(said) == kept


def test_secrets_are_masked_in_messages_and_stacks() -> None:
    stream = io.StringIO()
    configure("sophia", Log(form="json"), stream=stream)
    try:
        raise ValueError("bad dsn postgresql://u:hunter2@h/d")
    except ValueError:
        logging.getLogger("test").exception("password=%s", "hunter2")
    assert "hunter2" not in stream.getvalue()
