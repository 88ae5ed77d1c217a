"""What must hold of every run, whatever went wrong in it. Each finding is one sentence."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.contents import CONTENTS
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.kernel import EffectRecorded, Refused, Resolve, Unchanged
from contracts.subjects import ActorRef
from runtime.actor import AnyActor
from runtime.chain import broken_at
from runtime.errors import Rejected
from tests.simulation.actors import ACTORS, POISON, Entered, Received, Settled
from tests.simulation.server import stored
from tests.simulation.world import Accepted, World
