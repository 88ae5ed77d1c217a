"""Worker: the consumers that one domain's process runs over its inbox, its log, and its collaborations."""

from collections.abc import Sequence

from contracts.collaboration import COLLABORATION
from contracts.domains import Domain
from runtime.abandon import Abandoning
from runtime.actor import AnyActor
from runtime.consumer import Consumer
from runtime.effects import Outside
from runtime.host import Host
from runtime.reactor import Reactor


def consumers(domain: Domain, actors: Sequence[AnyActor], host: Host, outside: Outside) -> list[Consumer]:
    """Everything to start for one domain. Reactions to collaborations run apart: the other reactions wait for them."""
    abandoning = Abandoning(actors, outside.queue, outside.clock)
    waited_for = [actor for actor in actors if actor.kind == COLLABORATION]
    others = [actor for actor in actors if actor.kind != COLLABORATION]
    queue, limits, telemetry = outside.queue, outside.limits, outside.telemetry
    found = [
        Consumer(queue, (domain, "inbox"), host.handle, abandoning.message, limits, telemetry),
        Consumer(queue, (domain, "reactor"), Reactor(others, outside).handle, abandoning.reaction, limits, telemetry),
    ]
    if waited_for:
        reactor = Reactor(waited_for, outside)
        found.append(
            Consumer(queue, (domain, "collaborations"), reactor.handle, abandoning.reaction, limits, telemetry)
        )
    return found
