"""Which actors and tools each domain runs."""

from collections.abc import Sequence

from actors.artemis.tools import TOOLS as ARTEMIS_TOOLS
from actors.ceo.alert import alert
from actors.ceo.knowledge_item import knowledge_item
from actors.collaboration import collaboration
from actors.conversation import conversation
from actors.remembering import memory
from actors.signal import signal
from actors.sophia.analysis import analysis
from actors.sophia.records import RECORDS
from actors.sophia.tools import TOOLS as SOPHIA_TOOLS
from actors.system.approval import approval
from actors.system.chat import chat
from actors.system.registry import registry
from actors.system.user import user
from contracts.domains import Domain
from runtime.actor import AnyActor
from runtime.ports import Tool

ACTORS: dict[Domain, Sequence[AnyActor]] = {
    Domain.SOPHIA: (conversation, collaboration, analysis, memory, signal, *RECORDS),
    Domain.ARTEMIS: (conversation, collaboration, memory, signal),
    Domain.CEO: (knowledge_item, alert, collaboration, signal),
    Domain.SYSTEM: (approval, chat, registry, user, signal),
    Domain.EMBEDDING: (),
}
TOOLS: dict[Domain, dict[str, Tool]] = {Domain.SOPHIA: SOPHIA_TOOLS, Domain.ARTEMIS: ARTEMIS_TOOLS}
