"""The models that may be asked for by name: Sophia and Artemis, the configured ones, and what embeds."""

from contracts.domains import Domain
from contracts.openai_chat import Model, Models
from gateway.commands import WRITE, WRITE_ANY, Incoming
from gateway.identity import Principal
from gateway.problems import NotFoundError, ValidationProblemError
from gateway.services import Services
from runtime.errors import UnavailableError
from runtime.model_names import Named

AGENTS: dict[str, Domain] = {domain.value: domain for domain in (Domain.SOPHIA, Domain.ARTEMIS)}
NAMED_MAX = 20  # models that an error names


class UnknownModelError(NotFoundError):
    """There is no such model, or none at this endpoint."""

    def __init__(self, wanted: str, known: list[str]) -> None:
        super().__init__("model")
        self.slug = "model-not-found"
        names = ", ".join(known[:NAMED_MAX]) + (" …" if len(known) > NAMED_MAX else "")
        self.detail = f"there is no model {wanted[:200]!r} here that you may use; there are: {names or 'none'}"
        self.errors = ValidationProblemError("$.model", self.detail).errors


def chat_model(services: Services, principal: Principal, wanted: str) -> str:
    """The name, if a chat with that model can be had. Raises UnknownModelError, ForbiddenError naming the permission."""
    if wanted in AGENTS:
        principal.require(WRITE[AGENTS[wanted]])
    elif any(one.name == wanted for one in services.chat_models):
        principal.require(*WRITE_ANY)
    else:
        raise UnknownModelError(wanted, [model.id for model in _chats(services, principal)])
    return wanted


async def models(incoming: Incoming[None]) -> Models:
    """Those that the asker may use: what he would be refused is not listed."""
    return Models(data=tuple(await _usable(incoming.services, incoming.principal)))


async def model(incoming: Incoming[None]) -> Model:
    usable = await _usable(incoming.services, incoming.principal)
    wanted = incoming.path["model"]
    found = next((model for model in usable if model.id == wanted), None)
    if found is None:
        raise UnknownModelError(wanted, [model.id for model in usable])
    return found


async def _usable(services: Services, principal: Principal) -> list[Model]:
    """Without what embeds while the embedding role cannot be asked: the others answer all the same."""
    try:
        served = await services.embeddings.models()
    except UnavailableError:
        served = []
    embedding = [Model(id=one.model.name, owned_by=one.servers[0], kind="embedding") for one in served if one.available]
    return [*_chats(services, principal), *embedding]


def _chats(services: Services, principal: Principal) -> list[Model]:
    agents = [
        Model(id=name, owned_by="diarchy", kind="agent")
        for name, domain in AGENTS.items()
        if principal.may(WRITE[domain])
    ]
    if not principal.may(*WRITE_ANY):
        return agents
    return [*agents, *map(_chat, services.chat_models)]


def _chat(named: Named) -> Model:
    return Model(id=named.name, owned_by=", ".join(named.providers), kind="chat", models=named.models)
