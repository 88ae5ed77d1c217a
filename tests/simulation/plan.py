"""What is done in one simulated run: drawn from the seed, and smaller on demand."""

import random

from msgspec import Struct

from contracts.domains import Domain
from contracts.subjects import ActorRef
from tests.simulation.actors import POISON, Put, Todo
from tests.simulation.weather import Weather, drawn

LEDGERS_MAX = 4
MESSAGES_MAX = 48
BUSY_S = 6.0  # meanwhile messages are sent and things go wrong
TODOS: tuple[Todo, ...] = ("", "chat", "several", "both", "unusable", "ask", "relay", "sleep", "bug")


class Options(Struct, frozen=True, kw_only=True):
    """A seed, and what is left out of it: a failure is made smaller so."""

    seed: int
    without: tuple[str, ...] = ()
    messages_max: int = 1_000

    def command(self) -> str:
        """How to run exactly this again."""
        parts = [f"just simulate --seed {self.seed}"]
        if self.messages_max < 1_000:
            parts.append(f"--messages {self.messages_max}")
        parts += [f"--without '{fault}'" for fault in self.without]
        return " ".join(parts)


class Sent(Struct, frozen=True):
    """One message of a client: it waits so long before it sends it."""

    to: ActorRef
    message: Put
    pause_s: float


class Plan(Struct, frozen=True):
    """Who sends what, how many workers each domain has, and what goes wrong."""

    weather: Weather
    workers: dict[Domain, int]
    clients: tuple[tuple[Sent, ...], ...]


def planned(options: Options) -> Plan:
    """The plan of a seed. Some seeds do many things, others one thing often, to few actors, without a pause."""
    chance = random.Random(f"plan {options.seed}")  # noqa: S311 - a simulation's choices
    workers = {Domain.SOPHIA: chance.randint(1, 3), Domain.ARTEMIS: chance.randint(1, 2)}
    ledgers = chance.sample(range(LEDGERS_MAX), chance.randint(1, LEDGERS_MAX))
    todos = chance.sample(TODOS, chance.choice((1, 2, 4, len(TODOS))))
    pause_s = chance.choice((0.0, 0.05, 0.3, 1.0))
    clients = []
    left = options.messages_max
    for number in range(chance.randint(1, 3)):
        start_s = chance.choice((0.0, BUSY_S / 2)) * chance.random()
        sent = tuple(
            Sent(
                ActorRef(Domain.SOPHIA, "ledger", f"l{chance.choice(ledgers)}"),
                Put(sender=f"client-{number}", number=count, size=_size(chance), todo=chance.choice(todos)),
                pause_s * chance.random() if count else start_s,
            )
            for count in range(chance.randint(2, MESSAGES_MAX // 3))
        )
        clients.append(sent[:left])
        left -= len(clients[-1])
    return Plan(drawn(options.seed, options.without), workers, tuple(clients))


def _size(chance: random.Random) -> int:
    return chance.choices((1, 2, 5, 0, -1, POISON), weights=(60, 15, 5, 8, 8, 4))[0]
