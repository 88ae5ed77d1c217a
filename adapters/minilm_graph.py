"""all-MiniLM-L6-v2 as an ONNX graph, built from its weights: no hub, no PyTorch.

A BERT encoder (Devlin et al., arXiv:1810.04805) of six layers with mean pooling and L2 norm (Reimers and Gurevych,
arXiv:1908.10084). Query, key and value are three products, which quantised share their input: to split one takes longer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

LAYERS = 6
HIDDEN = 384
HEADS = 12
LAYER_NORM_EPSILON = 1e-12
OPSET = 23
IR_VERSION = 11

Weights = Mapping[str, NDArray[Any]]


def weight_products(model: ModelProto) -> list[str]:
    """The names of the multiplications by a weight matrix, which are most of the work; attention's own are not among them."""
    constants = {constant.name for constant in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants]


class _Graph:
    """Nodes and constants under construction; every method returns the name of its result."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def dense(self, name: str, source: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        product = self.op("MatMul", f"{name}.matmul", source, self.constant(f"{name}.weight", weight.T))
        return self.op("Add", name, product, self.constant(f"{name}.bias", bias))

    def norm(self, name: str, source: str, stored: str) -> str:
        scale = self.constant(f"{name}.scale", self.weights[f"{stored}.weight"])
        bias = self.constant(f"{name}.bias", self.weights[f"{stored}.bias"])
        return self.op("LayerNormalization", name, source, scale, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def layer(self, index: int, source: str, mask: str) -> str:
        name, stored = f"layer{index}", f"encoder.layer.{index}"
        attended = self.attention(name, f"{stored}.attention.self", source, mask)
        projected = self.stored_dense(f"{name}.attention.output", attended, f"{stored}.attention.output.dense")
        residual = self.residual(f"{name}.attention.residual", projected, source)
        middle = self.norm(f"{name}.attention.norm", residual, f"{stored}.attention.output.LayerNorm")
        wide = self.stored_dense(f"{name}.feed_forward.input", middle, f"{stored}.intermediate.dense")
        bent = self.op("Gelu", f"{name}.feed_forward.gelu", wide)
        narrow = self.stored_dense(f"{name}.feed_forward.output", bent, f"{stored}.output.dense")
        residual = self.residual(f"{name}.feed_forward.residual", narrow, middle)
        return self.norm(f"{name}.feed_forward.norm", residual, f"{stored}.output.LayerNorm")

    def stored_dense(self, name: str, source: str, stored: str) -> str:
        return self.dense(name, source, self.weights[f"{stored}.weight"], self.weights[f"{stored}.bias"])

    def attention(self, name: str, stored: str, source: str, mask: str) -> str:
        parts = [self.stored_dense(f"{name}.{part}", source, f"{stored}.{part}") for part in ("query", "key", "value")]
        return self.op("Attention", f"{name}.context", *parts, mask, q_num_heads=HEADS, kv_num_heads=HEADS)

    def residual(self, name: str, one: str, other: str) -> str:
        """Their sum: by `Sum`, since onnxruntime makes of `Add` and the norm one operator that takes five times as long."""
        return self.op("Sum", name, one, other)


def build(weights: Weights) -> ModelProto:
    """fp32 model: `input_ids` and `attention_mask` (int64, batch × tokens) to `embedding` (float32, batch × 384, norm 1)."""
    graph = _Graph(weights)
    graph.constant("token_axis", np.array([1], np.int64))
    real = graph.op("Cast", "mask.float", "attention_mask", to=TensorProto.FLOAT)
    mask = _mask(graph)
    state = _embeddings(graph)
    for index in range(LAYERS):
        state = graph.layer(index, state, mask)
    column = graph.op("Unsqueeze", "mask.column", real, graph.constant("last_axis", np.array([-1], np.int64)))
    total = graph.op("ReduceSum", "pool.sum", graph.op("Mul", "pool.masked", state, column), "token_axis", keepdims=0)
    mean = graph.op("Div", "pool.mean", total, graph.op("ReduceSum", "pool.count", real, "token_axis", keepdims=1))
    graph.op("LpNormalization", "embedding", mean, axis=-1, p=2)
    shape = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN])
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, [output], graph.constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _mask(graph: _Graph) -> str:
    """Who attends to whom, batch × 1 × tokens × tokens: all to real tokens, and padding, on which nothing depends, to all."""
    real = graph.op("Cast", "mask.bool", "attention_mask", to=TensorProto.BOOL)
    to_real = graph.op("Unsqueeze", "mask.to_real", real, graph.constant("mask.rows", np.array([1, 2], np.int64)))
    padding = graph.op("Not", "mask.padding", real)
    from_padding = graph.op(
        "Unsqueeze", "mask.from", padding, graph.constant("mask.columns", np.array([1, 3], np.int64))
    )
    return graph.op("Or", "mask", to_real, from_padding)


def _embeddings(graph: _Graph) -> str:
    """Word plus position plus token type 0, normalised. The token type is folded into the positions."""
    words = graph.constant("words.table", graph.weights["embeddings.word_embeddings.weight"])
    place = (
        graph.weights["embeddings.position_embeddings.weight"]
        + graph.weights["embeddings.token_type_embeddings.weight"][0]
    )
    places = graph.constant("positions.table", place)
    word = graph.op("Gather", "words", words, "input_ids")
    length = graph.op("Shape", "length", "input_ids", start=1, end=2)
    position = graph.op("Slice", "positions", places, graph.constant("zero", np.array([0], np.int64)), length)
    return graph.norm("embeddings", graph.op("Add", "embeddings.sum", word, position), "embeddings.LayerNorm")
