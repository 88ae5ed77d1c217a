"""POST /v1/embeddings: OpenAI's shapes, both forms of a vector, and refusals its clients understand."""

import asyncio
import base64
import math
from typing import Any

import pytest

from contracts.embeddings import floats
from tests.gateway_world import World, run


def test_a_text_and_a_list_of_texts_get_unit_vectors_in_order() -> None:
    async def body() -> None:
        async with World() as world, world.client("read_only") as ann:
            one = await ann.post("/v1/embeddings", json={"model": "all-minilm", "input": "pricing of renewals"})
            assert one.status_code == 200, one.text
            answer = one.json()
            assert (answer["object"], answer["model"]) == ("list", "all-minilm")
            assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
            vector = answer["data"][0]["embedding"]
            assert len(vector) == 384
            assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
            many = {"model": "all-minilm", "input": ["other", "pricing of renewals"], "encoding_format": "base64"}
            data = (await ann.post("/v1/embeddings", json=many)).json()["data"]
            assert [item["index"] for item in data] == [0, 1]
            assert floats(base64.b64decode(data[1]["embedding"])).tolist() == vector

    run(body)


def test_many_who_ask_at_once_get_what_each_would_get_alone() -> None:
    async def body() -> None:
        async with World() as world, world.client("read_only") as ann:

            async def ask(number: int) -> Any:
                return (
                    await ann.post("/v1/embeddings", json={"model": "all-minilm", "input": f"text {number} " * number})
                ).json()

            numbers = range(1, 60)
            together = await asyncio.gather(*map(ask, numbers))
            assert together == [await ask(number) for number in numbers]

    run(body)


def test_a_routing_name_is_answered_with_the_model_it_stood_for() -> None:
    async def body() -> None:
        async with World() as world, world.client("read_only") as ann:
            for name, model in (("diarchy-quality", "mxbai-embed-large"), ("diarchy-latency", "all-minilm")):
                answer = (await ann.post("/v1/embeddings", json={"model": name, "input": "a"})).json()
                assert answer["model"] == model
            short = {"model": "auto", "input": "a b c d e f g h i", "dimensions": 256}
            assert len((await ann.post("/v1/embeddings", json=short)).json()["data"][0]["embedding"]) == 256

    run(body)


@pytest.mark.parametrize(
    ("wrong", "status", "param", "said"),
    [
        ({"input": [1, 2]}, 400, "input[0]", "send the text itself"),
        ({"input": [[1, 2]]}, 400, "input[0]", "send the text itself"),
        ({"input": ["a", " "]}, 400, "input[1]", "is empty"),
        ({"input": ""}, 400, "input", "is empty"),
        ({"input": []}, 400, "input", "length"),
        ({"input": ["a"] * 2_049}, 400, "input", "length"),
        ({"model": "ada"}, 404, "model", "there are"),
        ({"dimensions": 100}, 400, "dimensions", "384"),
        ({"encoding_format": "hex"}, 400, "encoding_format", "hex"),
        ({"extra": 1}, 400, "extra", "unknown"),
    ],
)
def test_what_does_not_fit_is_refused_in_openais_form(
    wrong: dict[str, Any], status: int, param: str | None, said: str
) -> None:
    async def body() -> None:
        async with World() as world, world.client("read_only") as ann:
            refused = await ann.post("/v1/embeddings", json={"model": "all-minilm", "input": "a", **wrong})
            assert refused.status_code == status, refused.text
            error = refused.json()["error"]
            assert error["param"] == param
            assert said in error["message"]

    run(body)


def test_without_a_token_it_is_refused_in_openais_form() -> None:
    async def body() -> None:
        async with World() as world, world.client() as nobody:
            refused = await nobody.post("/v1/embeddings", json={"model": "all-minilm", "input": "a"})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert refused.json()["error"]["type"] == "authentication_error"

    run(body)
