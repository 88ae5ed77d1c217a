"""Embeddings: through the port in one worker, from its cache, and over HTTP, beside a bare onnxruntime loop over the same texts.

python -m bench.embeddings [--seconds 8] [--rounds 2] [--trial]

The texts are 12 running words of CISI, each new. The bare loop takes them in batches of 32 of like length, on as many threads as
there are cores: onnxruntime's own way. Beside it, the loop that the worker's way would be without the worker. All use the same
model file. Over HTTP wrk reads every answer and counts those that are none; beside it a sample of answers is compared with what
the bare loop makes of the same text.
"""

import argparse
import asyncio
import base64
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from tokenizers import Tokenizer

from adapters.batching_embedder import BatchingEmbedder
from adapters.minilm import BATCH_TOKENS_MAX, THREADS, TOKENS_MAX, MiniLm, model_file, package_folder
from adapters.otel import OtelTelemetry
from bench import results
from bench.stack import CACHE, settings_in
from bench.wrk import Load, Outcome, Wrk
from contracts.domains import Clearance
from contracts.embeddings import EmbedTexts
from deploy.embedded.supervisor import Supervisor, standard_roles
from deploy.keys import signing_key
from deploy.stack import prepared, url_of
from gateway.identity import Principal, Tokens
from runtime.cached_embedder import CachedEmbedder, Of
from runtime.caching import Cache
from runtime.embedding_catalogue import MINILM
from runtime.embedding_workers import EmbeddingWorkers, Source
from runtime.vector_ports import Purpose
from tests.data import shared_data
from tests.stack import MODELS

WORDS = 12
CLIENTS = 32
BARE_TEXTS = 2_048
BATCH_TEXTS = 32
HITS = 20_000
WARM_S = 2
SAMPLE_EVERY_S = 0.5
COSINE_MIN = 0.97  # in eight bits a text's company counts a little
SCRIPT = """\
local head = {{ ["Content-Type"] = "application/json", {headers} }}
local words, seed = {{}}, 0
for word in io.lines("%s") do words[#words + 1] = word end
function setup(thread) seed = seed + 1; thread:set("number", seed) end
function init() math.randomseed({seed} * 1000 + number) end
function request()
  local text = {{}}
  local start = math.random(#words - 12)
  for place = 1, 12 do text[place] = words[start + place - 1] end
  text[math.random(12)] = words[math.random(#words)]
  return wrk.format("POST", "{path}", head,
    '{{"model":"all-minilm","encoding_format":"base64","input":"' .. table.concat(text, " ") .. '"}}')
end
"""


class Figures(Struct):
    """Texts a second, round by round, and what wrk saw."""

    bare: list[float] = []
    divided: list[float] = []
    port: list[float] = []
    hits: list[float] = []
    http: list[Outcome] = []
    compared: int = 0


def words() -> list[str]:
    """The running words of the collection, without what JSON would have to escape."""
    lines = shared_data("cisi-documents.jsonl").read_text().splitlines()
    text = " ".join(json.loads(line)["text"] for line in lines)
    return "".join(letter if letter.isalnum() else " " for letter in text).split()


def texts(source: Sequence[str], seed: int) -> Iterator[str]:
    """Without end; hardly ever one twice."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    while True:
        start = chance.randrange(len(source) - WORDS)
        part = [*source[start : start + WORDS]]
        part[chance.randrange(WORDS)] = chance.choice(source)
        yield " ".join(part)


class Bare:
    """onnxruntime and the tokenizer, and nothing else."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        file = model_file(MODELS, "int8")
        self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.no_padding()

    def per_s(self, given: Sequence[str], holds: Callable[[int, int], bool], workers: int) -> float:
        """Batches of as many texts of like length as `holds` allows, `workers` of them at a time."""
        began = time.perf_counter()
        tokens = sorted((encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(given))), key=len)
        batches: list[list[list[int]]] = [[]]
        for ids in tokens:
            if batches[-1] and not holds(len(batches[-1]) + 1, len(ids)):
                batches.append([])
            batches[-1].append(ids)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(self._run, batches))
        return len(given) / (time.perf_counter() - began)

    def vector(self, text: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._run([self._tokenizer.encode(text).ids])[0]
        return found

    def _run(self, batch: list[list[int]]) -> NDArray[np.float32]:
        shape = len(batch), max(map(len, batch))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, numbers in enumerate(batch):
            ids[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        found: NDArray[np.float32] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return found


HIT = Purpose("plain", Clearance.INTERNAL)


def bare_rates(found: Figures, given: Sequence[str]) -> None:
    """The two loops, one after the other."""
    found.bare.append(Bare(THREADS).per_s(given, lambda texts, _: texts <= BATCH_TEXTS, 1))
    found.divided.append(Bare(1).per_s(given, lambda texts, longest: texts * longest <= BATCH_TOKENS_MAX, THREADS))


async def port(found: Figures, fresh: Iterator[str], seconds: float) -> None:
    """One worker in this process, as the embedding role wires it (without the shared cache): new texts, then known ones."""
    model, telemetry = MiniLm(MODELS), OtelTelemetry("bench")
    batching = BatchingEmbedder(model, workers=THREADS)
    await model.start()
    await batching.start()
    embedder = CachedEmbedder(batching, Cache(telemetry), of=Of("embedded", batching.model))
    workers = EmbeddingWorkers([Source("here", MINILM, embedder, tokens=model.tokens, probed=False)], telemetry)
    until, done = time.perf_counter() + seconds, 0
    known: list[EmbedTexts] = []

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < until:
            request = EmbedTexts(model=MINILM.name, texts=(next(fresh),), clearance=Clearance.INTERNAL)
            await workers.embed(request)
            known.append(request)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    found.port.append(done / (time.perf_counter() - began))
    began = time.perf_counter()
    for request in itertools.islice(itertools.cycle(known), HITS):
        await embedder.embed(request.texts, HIT)
    found.hits.append(HITS / (time.perf_counter() - began))
    await batching.stop()
    await model.stop()


async def sampled(load: Load, expected: dict[str, NDArray[np.float32]]) -> int:
    """Ask for these texts while others are asked for; how many there were. Raises ValueError for a vector of another text."""
    async with httpx.AsyncClient(headers=load.headers, timeout=30) as client:
        for text, vector in expected.items():
            body = {"model": MINILM.name, "encoding_format": "base64", "input": text}
            answer = (await client.post(load.url, json=body)).raise_for_status().json()
            found = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), np.float32)
            if found @ vector < COSINE_MIN:
                raise ValueError(f"the vector of {text!r} is not its own: cosine {found @ vector:.3f}")
            await asyncio.sleep(SAMPLE_EVERY_S)
    return len(expected)


async def over_http(found: Figures, wrk: Wrk, load: Load, seed: int, fresh: Iterator[str]) -> None:
    """What wrk gets, and a sample of the answers' content."""
    bare = Bare(1)
    samples = itertools.islice(fresh, int(load.seconds / SAMPLE_EVERY_S / 2))
    expected = {text: await asyncio.to_thread(bare.vector, text) for text in samples}
    outcome, compared = await asyncio.gather(wrk.run(load, seed=seed), sampled(load, expected))
    found.http.append(outcome)
    found.compared += compared


async def measure(seconds: int, rounds: int) -> Figures:
    """All of it in turn, `rounds` times, on a stack that rests while the others run."""
    found, source = Figures(), words()
    fresh = texts(source, 1)
    wrk = Wrk(CACHE / "wrk")
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as name:
        settings = settings_in(Path(name) / "diarchy")
        stack = Supervisor(prepared(settings, 0), standard_roles(["embedding", "gateway"]))
        await stack.start()
        try:
            load = _load(stack, Path(name), source)
            await wrk.run(load, seed=99)
            for turn in range(rounds):
                given = list(itertools.islice(fresh, BARE_TEXTS))
                await asyncio.to_thread(bare_rates, found, given)
                await port(found, fresh, seconds / 2)
                await over_http(found, wrk, replace(load, seconds=seconds), turn, fresh)
                await asyncio.to_thread(bare_rates, found, given)
        finally:
            await stack.stop()
    return found


def _load(stack: Supervisor, folder: Path, source: Sequence[str]) -> Load:
    file = folder / "words"
    file.write_text("\n".join(source))
    principal = Principal(username="bench", roles=("admin",), clearance=Clearance.INTERNAL)
    token = Tokens(signing_key(stack.settings)).issue(principal, datetime.now(UTC))
    return Load(
        url=f"{url_of(stack.settings)}/v1/embeddings",
        connections=CLIENTS,
        seconds=WARM_S,
        headers={"Authorization": f"Bearer {token}"},
        script=SCRIPT % file,
    )


def reached(found: Figures) -> dict[str, tuple[float, str]]:
    """The figures of the goals; the share is of the better of the two loops' medians."""
    bare, divided = statistics.median(found.bare), statistics.median(found.divided)
    fresh, hits = statistics.median(found.port), statistics.median(found.hits)
    p50 = statistics.median(one.p50_ms for one in found.http)
    per_s = statistics.median(one.per_s for one in found.http)
    loops = f"bare loop: {bare:,.0f}/s (batches as the worker's: {divided:,.0f}/s)"
    return {
        "embed.rate": (fresh, loops),
        "embed.hits": (hits, f"fresh: {fresh:,.0f}/s"),
        "embed.http_ms": (p50, f"{per_s:,.0f}/s, p99 {statistics.median(one.p99_ms for one in found.http):.0f} ms"),
        "embed.http_share": (per_s / bare, f"{per_s:,.0f}/s; {loops}"),
    }


def table(found: Figures) -> str:
    """The rows of RESULTS.md: every round."""

    def rates(values: Sequence[float]) -> str:
        return ", ".join(f"{value:,.0f}" for value in values)

    failed = sum(one.failed for one in found.http)
    return (
        "| what | texts/s, round by round |\n|---|---|\n"
        f"| bare onnxruntime loop, batches of {BATCH_TEXTS} on {THREADS} threads | {rates(found.bare)} |\n"
        f"| bare loop, {THREADS} batches of {BATCH_TOKENS_MAX} tokens at a time | {rates(found.divided)} |\n"
        f"| one worker through the port, {CLIENTS} callers with one new text each | {rates(found.port)} |\n"
        f"| the same, texts it knows, one after the other | {rates(found.hits)} |\n"
        f"| over HTTP, {CLIENTS} clients, one new text a request | {rates([one.per_s for one in found.http])} |\n"
        f"\nOver HTTP p50 / p99: {', '.join(f'{one.p50_ms:.0f} / {one.p99_ms:.0f} ms' for one in found.http)}; {failed} failed; "
        f"{found.compared} answers beside them compared with the bare loop's vectors. "
        f"Gateway, broker, worker and wrk share the two cores that the bare loops have to themselves. Texts: {WORDS} words.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trial", action="store_true", help="nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.seconds, arguments.rounds))
    text = table(found)
    if not arguments.trial:
        results.write("Embeddings", "just bench embeddings", text)
        results.record(reached(found))
    print(text)


if __name__ == "__main__":
    main()
