"""What one piece of a streamed answer costs the worker: our reading of the stream beside the openai client's, in turns.

    python -m bench.chat_stream

Processor time of this process, the model server being another one; see ADR 28.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import openai

from adapters.openai_chat import Endpoint, OpenAiChat
from contracts.chat import ChatMessage, ChatRequest, Delta
from runtime.model_ports import Call

ROUNDS = 3
ANSWERS = 60  # a round
QUESTION = "word " * 40  # the server says it again


async def measured(url: str) -> None:
    ours = OpenAiChat(Endpoint(name="ours", base_url=url, model="m"))
    theirs = openai.AsyncOpenAI(api_key="none", base_url=url)
    request = ChatRequest(model="m", messages=(ChatMessage(role="user", content=QUESTION),))

    async def with_ours() -> int:
        pieces: list[Delta] = []
        await ours.chat(request, Call("k", on_delta=pieces.append))
        return len(pieces)

    async def with_theirs() -> int:
        stream = await theirs.chat.completions.create(
            model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        return len([chunk async for chunk in stream if chunk.choices and chunk.choices[0].delta.content])

    await with_ours()
    await with_theirs()
    for _ in range(ROUNDS):
        for name, ask in (("ours", with_ours), ("the openai client", with_theirs)):
            print(f"{name}: {await _piece_us(ask):.0f} us of processor time a piece")
    await ours.close()
    await theirs.close()


async def _piece_us(ask: Callable[[], Awaitable[int]]) -> float:
    began = time.process_time()
    pieces = sum([await ask() for _ in range(ANSWERS)])
    return (time.process_time() - began) / pieces * 1e6


def main() -> None:
    command = [sys.executable, "-m", "tests.model_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
        try:
            assert server.stdout is not None
            asyncio.run(measured(server.stdout.readline().strip()))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
