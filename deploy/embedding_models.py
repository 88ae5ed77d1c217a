"""Which embedding models the settings name: the one the index uses, and every other that can be asked for."""

from adapters.batching_embedder import BatchingEmbedder, Bounds
from contracts.embeddings import EmbeddingModel
from deploy.model_settings import Embedding, EmbeddingServer, OfferedModel
from deploy.plant import Opened
from deploy.settings import Settings
from runtime.cached_embedder import CachedEmbedder, Of
from runtime.caching import Cache
from runtime.embedding_catalogue import MINILM, known
from runtime.embedding_workers import Source
from runtime.ports import Runnable

EMBEDDED = "embedded"
INDEX = "index"
REMOTE_WORKERS = 4  # requests to one model of a server at a time
REMOTE_TEXTS_MAX = 64
REMOTE_CHARS_MAX = 64_000


def embedding_sources(settings: Settings, cache: Cache | None) -> tuple[Source, list[Source], list[Runnable]]:
    """What the index embeds with, all models that can be asked for, and what has to be started for them, in this order.

    The built-in model is there whether the index uses it or not, as long as its weights are installed. `cache` remembers the
    vectors of all of them.
    """
    from adapters.minilm import installed

    sources: list[Source] = []
    parts: list[Runnable] = []
    own = settings.embedding.provider == "minilm"
    if own or installed():
        sources.append(_minilm(settings, parts))
    servers = _servers(settings)
    first_remote = len(sources)
    sources += [_remote(settings, server, offered, parts) for server in servers for offered in server.models]
    if cache is not None:
        for source in sources:
            source.embedder = CachedEmbedder(source.embedder, cache, of=_of(source), ttl_s=settings.caches.vectors_s)
    return sources[0 if own else first_remote], sources, parts


def server_names(settings: Settings) -> list[str]:
    """Of all servers that embed; the one that the index alone has is `index`."""
    return [server.name for server in _servers(settings)]


def _servers(settings: Settings) -> list[EmbeddingServer]:
    own = settings.embedding.provider == "minilm"
    return [*([] if own else [_of_index(settings.embedding)]), *settings.embeddings]


def _of(source: Source) -> Of:
    model = source.model
    return Of(source.server, model.name, model.query_prefix, model.entry_prefix)


def _of_index(wanted: Embedding) -> EmbeddingServer:
    model = OfferedModel(name=wanted.model, dimensions=wanted.dimensions)
    return EmbeddingServer(
        name=INDEX, base_url=wanted.url, models=(model,), api_key=wanted.api_key, timeout_s=wanted.timeout_s
    )


def _minilm(settings: Settings, parts: list[Runnable]) -> Source:
    from adapters.minilm import THREADS, MiniLm

    model = MiniLm(settings.models_folder)
    bounds = Bounds(texts_max=settings.limits.embed_batch_max)
    batching = BatchingEmbedder(model, bounds, waiting_max=settings.limits.embed_waiting_max, workers=THREADS)
    parts += [model, batching]
    return Source(EMBEDDED, MINILM, batching, tokens=model.tokens, probed=False)


def _remote(settings: Settings, server: EmbeddingServer, offered: OfferedModel, parts: list[Runnable]) -> Source:
    from adapters.openai_embeddings import OpenAiEmbedder

    described = _described(offered)
    remote = OpenAiEmbedder(
        server.base_url,
        server.api_key.reveal(),
        offered.served_as or offered.name,
        described.dimensions,
        timeout_s=server.timeout_s,
        prefixes={"query": described.query_prefix, "entry": described.entry_prefix},
    )
    bounds = Bounds(texts_max=REMOTE_TEXTS_MAX, chars_max=REMOTE_CHARS_MAX, text_chars_max=REMOTE_CHARS_MAX)
    waiting_max = settings.limits.embed_waiting_max
    batching = BatchingEmbedder(remote, bounds, waiting_max=waiting_max, workers=REMOTE_WORKERS)
    parts += [Opened(close=remote.close), batching]
    return Source(server.name, described, batching)


def _described(offered: OfferedModel) -> EmbeddingModel:
    described = known(offered.name)
    if described is not None and offered.dimensions in (0, described.dimensions):
        return described
    return EmbeddingModel(
        name=offered.name,
        dimensions=offered.dimensions,
        context_tokens=offered.context_tokens,
        latency=offered.latency,
        quality=offered.quality,
    )
