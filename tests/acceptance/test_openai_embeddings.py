"""OpenAI's asynchronous client asks for many texts at the same time, which travel together: it cannot tell."""

import asyncio
from operator import mul

import openai
from openai.types import CreateEmbeddingResponse

from contracts.domains import Clearance
from tests.stack import Stack

MODEL = "all-minilm"


def test_many_texts_at_once_get_what_they_get_in_one_request(stack: Stack) -> None:
    token = stack.token("eve", "read_only", clearance=Clearance.INTERNAL)
    texts = [f"Text number {number} of many, about {'pricing ' * (number % 9)}" for number in range(40)]

    async def body() -> tuple[list[CreateEmbeddingResponse], CreateEmbeddingResponse]:
        async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=token, max_retries=0) as client:
            each = await asyncio.gather(*(client.embeddings.create(model=MODEL, input=text) for text in texts))
            return each, await client.embeddings.create(model=MODEL, input=texts)

    each, together = asyncio.run(body())
    for one, other in zip(each, together.data, strict=True):
        cosine = sum(map(mul, one.data[0].embedding, other.embedding))
        assert cosine > 0.97  # In eight bits a text's company counts a little.
    assert sum(one.usage.total_tokens for one in each) == together.usage.total_tokens
