"""A worker that is killed while its model writes: the client's stream goes on, says no word twice, and is the recorded answer."""

import signal
from os import kill
from pathlib import Path

import openai
import pytest

from contracts.domains import Clearance
from tests.faults.test_every_effect import running
from tests.model_server import calls_per_key


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("name", "role", "written"), [("counting", "system", 6), ("sophia", "sophia", 30)])
def test_a_stream_outlives_the_worker_that_wrote_it(data_folder: Path, name: str, role: str, written: int) -> None:
    release = data_folder / "release"
    with running(data_folder, hold=1, held_after=written, release=release) as (stack, _, record):
        token = stack.token("ann", "sophia_user", clearance=Clearance.CONFIDENTIAL)
        client = openai.OpenAI(base_url=f"{stack.url}/v1", api_key=token, max_retries=0, timeout=120)
        question = "What do the customers of the north say about the portal?"
        stream = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": question}], stream=True
        )
        identity, text = "", ""
        while not text:
            chunk = next(stream)
            identity, text = chunk.id, chunk.choices[0].delta.content or ""
        kill(stack.pid(role), signal.SIGKILL)
        release.touch()
        chunks = list(stream)
        begun, text = text, text + "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert client.chat.completions.retrieve(identity).choices[0].message.content == text
        assert len(text) > len(begun)
        assert list(calls_per_key(record).values()) == [2], "the call was made again, and as the same call"
