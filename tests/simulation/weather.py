"""What goes wrong in one simulated run, how often, all of it drawn from the seed."""

import random
from collections.abc import Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

FAULTS = (
    "delays",
    "lost requests",
    "lost answers",
    "late requests",
    "conflicts",
    "stale reads",
    "lost acks",
    "lost beats",
    "refusals",
    "outages",
    "cuts",
    "silences",
    "crashes",
    "pauses",
    "departures",
    "unpins",
    "forgetting",
)
"""Each can be left out of a run, to find the few that a failure needs."""


class Weather(Struct, frozen=True, kw_only=True):
    """Chances a call (0 to 1), and how often something happens in a run. The default is calm."""

    shuffled: bool = True
    delay_s: float = 0.001  # the mean of one way
    slow: float = 0.0  # ways that take up to a second
    lost_request: float = 0.0
    lost_answer: float = 0.0
    late_request: float = 0.0  # executed when its sender has long given up
    conflict: float = 0.0  # refused as if another writer had been first
    stale_read: float = 0.0  # answered by a replica that lags behind
    lost_ack: float = 0.0
    lost_beat: float = 0.0
    refused: float = 0.0  # as by a full stream
    outages: int = 0  # the broker answers nobody for a while
    cuts: int = 0  # one worker loses its connection for a while
    silences: int = 0  # nobody hears from one worker for a while, though it works
    crashes: int = 0
    pauses: int = 0
    departures: int = 0  # a worker is stopped in order, and another one starts
    unpins: int = 0  # the broker gives a partition's pin to somebody else, for no reason
    dedupe_s: float = 120.0  # how long the broker knows a message id

    @property
    def disturbed(self) -> bool:
        """Whether anything can make a call's outcome unknown, or a worker lose what it had in hand."""
        chances = (self.lost_request, self.lost_answer, self.late_request, self.conflict, self.stale_read, self.slow)
        times = (self.outages, self.cuts, self.silences, self.crashes, self.pauses, self.departures, self.unpins)
        return any(chances) or any(times) or self.lost_ack > 0 or self.lost_beat > 0


CALM = Weather()


def drawn(seed: int, without: Iterable[str] = ()) -> Weather:
    """The weather of a seed: each run has some kinds of faults and not others, so that rare combinations come to the front."""
    chance = random.Random(f"weather {seed}")  # noqa: S311 - a simulation's choices
    odds = chance.choice((0.0, 0.4, 0.7, 0.9))

    def some(value: float) -> float:
        return value * chance.random() if chance.random() < odds else 0.0

    def times(most: int) -> int:
        return chance.randint(1, most) if chance.random() < odds else 0

    found: dict[str, dict[str, float]] = {
        "delays": {"delay_s": 0.0005 + some(0.02), "slow": some(0.05)},
        "lost requests": {"lost_request": some(0.05)},
        "lost answers": {"lost_answer": some(0.08)},
        "late requests": {"late_request": some(0.03)},
        "conflicts": {"conflict": some(0.08)},
        "stale reads": {"stale_read": some(0.1)},
        "lost acks": {"lost_ack": some(0.2)},
        "lost beats": {"lost_beat": some(0.5)},
        "refusals": {"refused": some(0.1)},
        "outages": {"outages": times(2)},
        "cuts": {"cuts": times(3)},
        "silences": {"silences": times(3)},
        "crashes": {"crashes": times(4)},
        "pauses": {"pauses": times(4)},
        "departures": {"departures": times(2)},
        "unpins": {"unpins": times(6)},
        "forgetting": {"dedupe_s": chance.choice((0.0, 0.5, 3.0, 120.0)) if chance.random() < odds else 120.0},
    }
    left_out = set(without)
    unknown = left_out - found.keys()
    if unknown:
        raise ValueError(f"no such faults: {', '.join(sorted(unknown))}; there are: {', '.join(FAULTS)}")
    chosen = {name: value for fault, values in found.items() if fault not in left_out for name, value in values.items()}
    return msgspec.convert({"shuffled": chance.random() < 0.8, **chosen}, Weather)


def calmed(weather: Weather) -> Weather:
    """The same world once all faults have stopped; what the broker forgets, it goes on to forget."""
    return replace(CALM, shuffled=weather.shuffled, dedupe_s=weather.dedupe_s)
