"""The settings of models: what embeds, what chats, what is remembered of it, and what it may cost."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from deploy.secret import Secret

Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Embedding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the index uses. `minilm` needs no network; `openai`, a server that speaks OpenAI's embeddings, needs the rest."""

    provider: Literal["minilm", "openai"] = "minilm"
    url: str = ""
    api_key: Secret = Secret()
    model: str = ""
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] = 384
    timeout_s: Seconds = 30.0


class OfferedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of an embedding server. Of those in our catalogue (`docs/operating.md`) only the name is needed; of others the
    dimensions, too. `name` says which model it is: equal names on several servers are one model. `served_as`: what the server
    calls it, where that is something else. `quality`: more is better."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    served_as: str = ""
    dimensions: Annotated[int, Meta(ge=0, le=65_536)] = 0
    context_tokens: Annotated[int, Meta(ge=1)] = 512
    latency: Literal["low", "medium", "high"] = "medium"
    quality: int = 0


class EmbeddingServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that speaks OpenAI's embeddings, such as Ollama at `http://HOST:11434/v1`."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    base_url: Annotated[str, Meta(min_length=1)]
    models: Annotated[tuple[OfferedModel, ...], Meta(min_length=1)]
    api_key: Secret = Secret()
    timeout_s: Seconds = 30.0


class Caches(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is remembered, each by clearance: by the embedding role the vectors of texts and the hits of searches, by a
    gateway strategic summaries. Vectors and summaries are in the broker's memory, too (`shared`). Hits only with the built-in
    engine: with a Qdrant server others may change what they rest on."""

    vectors: bool = True
    vectors_s: Seconds = 3_600.0
    shared: bool = True
    searches: bool = True
    searches_s: Seconds = 86_400.0


class ChatProvider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that speaks OpenAI's chat completions.

    `name` is how it is asked for and told of; equal `model`s of several are one model, which any of them may be asked for
    (`served_as`: what the server calls it, where that is something else). Those of one `group` are equals and take turns; groups
    are asked in the order of their first members, and one without a group is a group of its own. Time-outs are those to connect,
    until the first piece of an answer, from one piece to the next, and for the whole (`timeout_s`). Prices are per million
    tokens, in a currency of your choice. `context_tokens_max` 0: unknown. `tools`: it calls tools well, so questions
    are investigated by it (the first such one), where else teams work by fixed rules.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    base_url: Annotated[str, Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)]
    served_as: str = ""
    api_key: Secret = Secret()
    group: Annotated[str, Meta(max_length=64)] = ""
    timeout_s: Seconds = 60.0
    connect_s: Seconds = 5.0
    first_s: Seconds = 60.0
    between_s: Seconds = 30.0
    connections_max: Annotated[int, Meta(ge=1, le=10_000)] = 32
    context_tokens_max: Annotated[int, Meta(ge=0)] = 0
    input_price: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    output_price: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    tools: bool = False


class Extractive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that quotes, which needs no provider. `last`: where what all providers answer is of no use, it answers for Sophia
    and Artemis; else such a run fails. While a provider is only away, runs wait for it."""

    last: bool = True


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run may spend on models if its request does not say; 0: as much as it takes. Money is in the prices' currency."""

    tokens_max: Annotated[int, Meta(ge=0, le=10**12)] = 0
    cost_max: Annotated[float, Meta(ge=0, le=10**9)] = 0.0


class Web(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Research on the web. `url`: a search engine that answers as SearXNG does, with JSON; empty: none, research rests on what
    the company knows. `label_max`: of what confidentiality a question may be to be sent there. `private_hosts`: `HOST:PORT` whose
    pages are read though they are not on the internet."""

    url: str = ""
    api_key: Secret = Secret()
    label_max: Literal["public", "internal", "confidential", "restricted", "top_secret"] = "internal"
    search_s_max: Seconds = 10.0
    page_s_max: Seconds = 10.0
    research_s_max: Seconds = 45.0  # for all of it; then there is none
    page_bytes_max: Annotated[int, Meta(ge=1_000, le=64_000_000)] = 4_000_000
    private_hosts: tuple[str, ...] = ()
