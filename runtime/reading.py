"""Reading: the effects by which a reaction finds something out, without changing anything and without a model's words."""

from datetime import datetime

from contracts.business import RecordKind
from contracts.curating import StrategicSummary, SummaryQuery
from contracts.domains import Clearance, Partition
from contracts.records import RecordsFound
from contracts.retrieval import Hit, Query
from contracts.users import Grants, Permission, granted
from contracts.web import WebFindings
from runtime.errors import ForbiddenToolError, OutcomeError, UnavailableError
from runtime.named_repositories import ASK_PERMISSION, Naming, hit
from runtime.observing import LABEL, MONITOR, Observed, Observing, observe_measurements, observe_spans
from runtime.records import read_records
from runtime.researching import RESEARCH_PERMISSION, Asking, research
from runtime.run import Run
from runtime.similarity import Nearness, near

WORDS_MATCH_FROM = 0.5
"""Of a hit's relevance, beyond its cosine: a query's words count half, and weigh 1 together (adapters/words.py)."""

_NO_TIME = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Reads:
    """What a reaction may read: under the asker's clearance, and `label` rises with everything that was read."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._outside = run.outside
        self._cause = run.cause
        self._grants: Grants = ()

    @property
    def label(self) -> Clearance:
        return self._run.label

    def grant(self, grants: Grants) -> None:
        """Let other domains do what the asker may, too; without it no tool runs, and nothing is read that takes a permission."""
        self._grants = grants

    def _permits(self, permission: Permission) -> bool:
        return permission in granted(self._grants, self._run.actor.domain)

    async def search(
        self,
        partitions: tuple[Partition, ...],
        text: str,
        *,
        limit: int = 10,
        source: str | None = None,
        media_type: str | None = None,
        score_min: float = -1.0,
    ) -> list[Hit]:
        """The best entries under the asker's clearance, best first; none whose cosine to the text is below `score_min`, unless
        its words match it as if all of them stood there."""

        def query(now: datetime) -> Query:
            return Query(
                partitions=partitions,
                text=text,
                clearance=self._cause.clearance,
                now=now,
                limit=limit,
                source=source,
                media_type=media_type,
            )

        async def search(_: str) -> list[Hit]:
            hits = await self._outside.retrieval.search(query(self._outside.clock()))
            return [hit for hit in hits if hit.score >= score_min or hit.relevance - hit.score >= WORDS_MATCH_FROM]

        return await self._run.perform(
            "search",
            [query(_NO_TIME), score_min],
            list[Hit],
            search,
            lambda hits: max((hit.entry.label for hit in hits), default=Clearance.PUBLIC),
            "retrieval",
        )

    async def summary(self, partitions: tuple[Partition, ...], query: SummaryQuery) -> StrategicSummary:
        """What matters strategically, of items in these partitions under the asker's clearance.

        Raises OutcomeError where it is not to be had now: nobody is kept waiting for a read model.
        """

        async def summary(_: str) -> StrategicSummary:
            outside = self._outside
            try:
                async with outside.guards.call("summaries"):
                    return await outside.summaries.summary(
                        query, partitions, clearance=self._cause.clearance, now=outside.clock()
                    )
            except UnavailableError as error:
                raise OutcomeError(f"there is no strategic summary now: {error}") from error

        return await self._run.perform(
            "summary", [partitions, query], StrategicSummary, summary, lambda found: found.label
        )

    async def research(self, query: str, *, sources_max: int = 5) -> WebFindings:
        """What pages of the web say to a query, where that is configured and the cause's label lets it be sent there.

        What is found is public and kept as blobs. Raises OutcomeError where the web is not to be had now, or not for the asker.
        """

        async def look(_: str) -> WebFindings:
            outside = self._outside
            if not self._permits(RESEARCH_PERMISSION):
                raise ForbiddenToolError(
                    f"research on the web needs the permission {RESEARCH_PERMISSION}, which the asker lacks"
                )
            asked = Asking(query=query, label=self._cause.label, sources_max=sources_max, now=outside.clock())
            return await research(outside.research, asked, outside.blobs, outside.guards)

        return await self._run.perform("research", [query, sources_max], WebFindings, look)

    async def repository(self, place: str) -> Hit:
        """The source code at a path or an address, kept as an archive with its history, as a search would give it.

        Raises OutcomeError where the operator, or the asker's clearance, does not let it be read, and where it cannot be.
        """
        naming, outside = Naming(place=place, clearance=self._cause.clearance, label=self._cause.label), self._outside

        async def read(_: str) -> Hit:
            if not self._permits(ASK_PERMISSION):
                raise ForbiddenToolError(f"to name a repository needs the permission {ASK_PERMISSION}")
            packed = await outside.repositories.read(naming)
            return hit(place, packed, await outside.blobs.put(packed.content))

        return await self._run.perform("repository", [place], Hit, read, lambda found: found.entry.label)

    async def records(self, kind: RecordKind) -> RecordsFound:
        """What the facts under the asker's clearance say of all clients, deals, tickets or invoices, as a blob for a tool.

        Raises OutcomeError where it is not to be had now, as `summary` does.
        """
        clearance, outside = self._cause.clearance, self._outside

        async def read(_: str) -> RecordsFound:
            return await read_records(outside.records, kind, clearance, blobs=outside.blobs, guards=outside.guards)

        return await self._run.perform("records", [kind], RecordsFound, read, lambda found: found.label)

    async def measurements(self, since: datetime, until: datetime) -> Observed:
        """Our own measurements of a window, as a blob of `Series` for a tool.

        Raises OutcomeError where the asker may not have them read (`runtime.observing`), or there are none to be had now.
        """
        outside, asked = self._outside, self._observing(since, until)

        async def read(_: str) -> Observed:
            return await observe_measurements(outside.measurements, asked, outside.blobs)

        return await self._run.perform("measurements", [since, until], Observed, read, lambda _: LABEL)

    async def spans(self, since: datetime, until: datetime) -> Observed:
        """How long our own operations took in a window, as a blob of `Operations` for a tool. Raises as `measurements` does."""
        outside, asked = self._outside, self._observing(since, until)

        async def read(_: str) -> Observed:
            return await observe_spans(outside.spans, asked, outside.blobs)

        return await self._run.perform("spans", [since, until], Observed, read, lambda _: LABEL)

    def _observing(self, since: datetime, until: datetime) -> Observing:
        permitted = self._permits(MONITOR)
        return Observing(since=since, until=until, clearance=self._cause.clearance, permitted=permitted)

    async def similarities(self, texts: tuple[str, ...], others: tuple[str, ...]) -> Nearness:
        """How near each text is to each of the others, by the built-in embedding model. Nothing is read: no label rises."""
        clearance, outside = self._cause.clearance, self._outside

        async def compare(_: str) -> Nearness:
            return await near(texts, others, clearance, embeddings=outside.embeddings, guards=outside.guards)

        return await self._run.perform("similarities", [texts, others], Nearness, compare)
