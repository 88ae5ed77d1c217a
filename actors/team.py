"""Team: who answers a kind of question, where it looks, and what it computes. The router picks one by the question's words."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from actors.alarms import raise_alarms
from actors.confidence import Rested, Work
from actors.given import files
from contracts import conversation
from contracts.alerts import Alarm
from contracts.domains import Partition
from contracts.facts import ANNOUNCED
from contracts.grounds import Basis
from contracts.model import Evidence, Section, abstains
from contracts.retrieval import Hit
from contracts.sources import KINDS
from contracts.web import WebSource
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.text import sentences

EVIDENCE_CHARS_MAX = 1_500
RELEVANT_FROM = 0.2
"""Cosine: what is further from the question, and does not match it by its words, is no evidence, and no label rises for it."""

ASKED = "Required, as asked for: "
"""Before a sentence of the question that stands among the findings. What compares sentences takes it off."""

_CITATION = re.compile(r"\s*\[\d+\]")
_WORD = re.compile(r"[a-z][a-z0-9-]+")


class Examined(Struct, frozen=True):
    """What real work found: exact findings in plain words, and what else they rest on. `evidence` is in no partition."""

    findings: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    computed: bool = False
    """Whether a tool worked on what the team is asked about (source code, our own measurements), not on texts found."""
    web: tuple[WebSource, ...] = ()
    """Pages that were read for it."""

    works: tuple[Work, ...] = ()
    """What tools worked out of data of their own; confidence rests on it."""

    def rested(self, question: str, evidence: Sequence[Evidence], now: datetime) -> Rested:
        """What an answer rests on, to this question, over this evidence."""
        told = {finding for work in self.works for finding in work.findings}
        others = tuple(finding for finding in self.findings if finding not in told)
        return Rested(question=question, evidence=evidence, findings=others, works=self.works, now=now)


class Findings(Struct, frozen=True):
    """The part of every tool's result that goes further; the whole result stands in the journal."""

    findings: tuple[str, ...]
    alarms: tuple[Alarm, ...] = ()
    basis: Basis | UnsetType = UNSET

    def work(self, tool: str, *data: Hit, told: Sequence[str] = (), ids: Sequence[str] = ()) -> tuple[Work, ...]:
        """What the tool worked out of stored `data` and of the evidence with these `ids`, as it is told; () where it says nothing
        of its basis. Data that do not say how new they are, are as new as what was stored."""
        if self.basis is UNSET:
            return ()
        stored = max((hit.entry.updated for hit in data if hit.entry.updated), default=None)
        basis = replace(self.basis, newest=stored) if self.basis.newest is UNSET and stored else self.basis
        known = (*(hit.entry.id for hit in data), *ids)
        return (Work(tool=tool, findings=tuple(told or self.findings), basis=basis, data=known),)


Examine = Callable[[str, Sequence[Hit], Effects], Awaitable[Examined]]
"""Question and hits to findings."""


class Team(Struct, frozen=True, kw_only=True):
    """`cues` are word beginnings that speak for the team; `partitions` are searched in one go.

    `work` is what it does for questions recorded with flow 2 or later, None: as before; `examine` stays as its journals have it.
    `more_cues` speak for it in such questions, too, and `answers` are their sections where there are any. Those of its cues
    that begin with one of `general_cues` say only what is asked about, not what of it: there they count after all others.
    """

    name: conversation.Team
    role: str
    cues: tuple[str, ...]
    partitions: tuple[Partition, ...]
    sections: tuple[Section, ...]
    examine: Examine
    work: Examine | None = None
    more_cues: tuple[str, ...] = ()
    general_cues: tuple[str, ...] = ()
    answers: tuple[Section, ...] = ()

    def at(self, flow: int) -> Examine:
        """What it does for a question of this flow."""
        return self.work if self.work is not None and flow >= 2 else self.examine

    def sections_at(self, flow: int) -> tuple[Section, ...]:
        return self.answers if self.answers and flow >= 2 else self.sections


def route(question: str, teams: Sequence[Team], flow: int = 1) -> Team:
    """The team whose cues occur most in the question; between equals, and without any, the one that stands first."""
    return max(teams, key=lambda team: (_special(question, team, flow), _occurrences(question, team, flow)))


def called(question: str, teams: Sequence[Team]) -> tuple[Team, ...]:
    """Every team with a cue in the question, the one with most first; the first team where none has."""
    occurring = [team for team in teams if _occurrences(question, team)]
    return tuple(sorted(occurring, key=lambda team: -_occurrences(question, team))) or (route(question, teams),)


def _occurrences(question: str, team: Team, flow: int = 1) -> int:
    cues = team.cues + team.more_cues if flow >= 2 else team.cues
    return sum(any(word.startswith(cue) for cue in cues) for word in _WORD.findall(question.lower()))


def _special(question: str, team: Team, flow: int) -> int:
    """Its cues that are not general; from flow 2 on."""
    if flow < 2:
        return 0
    general = replace(team, cues=team.general_cues, more_cues=())
    return _occurrences(question, team, flow) - _occurrences(question, general, flow)


def speaks_of(question: str, cues: Sequence[str]) -> bool:
    """Whether any word of the question begins with one of the cues."""
    return any(word.startswith(cue) for word in _WORD.findall(question.lower()) for cue in cues)


async def relevant(partitions: tuple[Partition, ...], question: str, effects: Effects, limit: int) -> tuple[Hit, ...]:
    """What is near enough to a question to be evidence, best first."""
    return once(await effects.search(partitions, question, limit=limit, score_min=RELEVANT_FROM))


def once(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Without what was announced of an item that was found itself: that would be the same evidence twice."""
    announced = {f"{ANNOUNCED}{hit.entry.id}" for hit in hits}
    return tuple(hit for hit in hits if announced.isdisjoint(hit.entry.tags))


def dated(hits: Sequence[Hit]) -> tuple[Evidence, ...]:
    """`evidence_of` with what confidence needs of it; journals of flow 1 hold it without."""
    return tuple(
        replace(
            one,
            updated=hit.entry.updated or UNSET,
            category=hit.entry.category or UNSET,
            expires=hit.entry.expires or UNSET,
        )
        for one, hit in zip(evidence_of(hits), hits, strict=True)
    )


def evidence_of(hits: Sequence[Hit]) -> tuple[Evidence, ...]:
    """What was found as evidence: of each text 1,500 characters with the passage that answers best; scores clipped to 0 … 1."""
    return tuple(
        Evidence(
            id=hit.entry.id,
            title=hit.entry.title,
            text=_passage(hit),
            label=hit.entry.label,
            score=round(min(1.0, max(0.0, hit.score)), 4),
            source=hit.entry.source,
            partition=hit.partition,
        )
        for hit in hits
    )


def _passage(hit: Hit) -> str:
    """From where the best passage begins, and what follows it; of the last one what comes before it, too."""
    text = hit.entry.text
    start = min(hit.passage.start, len(text) - EVIDENCE_CHARS_MAX) if hit.passage else 0
    return text[max(start, 0) :][:EVIDENCE_CHARS_MAX]


def statements(text: str, limit: int) -> tuple[str, ...]:
    """The first sentences of a text that another team or domain wrote, without citation marks; none where it says nothing."""
    if abstains(text):
        return ()
    return tuple(found for line in unmarked(text).splitlines() for found in sentences(line))[:limit]


def unmarked(text: str) -> str:
    """The text without citation marks, where the numbers of its evidence mean nothing."""
    return _CITATION.sub("", text)


def gathered(hits: Sequence[Hit], examined: Examined, flow: int = 1) -> tuple[Evidence, ...]:
    """All that an answer rests on: what was found, and what the work on it rests on, each once. Dated from flow 2 on."""
    found = (dated if flow >= 2 else evidence_of)(united(hits, examined.hits))
    evidence = {one.id: one for one in (*found, *examined.evidence)}
    return tuple(evidence.values())


def together(own: Sequence[Evidence], others: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Both, each once, one's own first."""
    return tuple(
        {one.id: one for one in (*others, *own)}[id_] for id_ in dict.fromkeys(one.id for one in (*own, *others))
    )


def united(hits: Sequence[Hit], more: Sequence[Hit]) -> tuple[Hit, ...]:
    """Both, each entry once, the first ones first."""
    merged = {hit.entry.id: hit for hit in (*hits, *more)}
    return tuple(merged.values())


def examine_file(
    tool: str, partitions: tuple[Partition, ...], media_types: tuple[str, ...], arguments: Callable[[str, str], Struct]
) -> Examine:
    """Runs a tool on the files of the given media types that the question hands over, else on the most relevant stored one;
    `arguments` are made of digest and question."""
    kinds = {KINDS[media_type] for media_type in media_types}

    async def examine(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
        if handed := files(hits, *kinds):
            findings: list[str] = []
            works: tuple[Work, ...] = ()
            for digest, hit in handed:
                found = await run_tool(tool, arguments(digest, question), hit.entry.title, effects)
                told = tuple(f"In {hit.entry.title}: {one}" for one in found.findings)
                findings += told
                works += found.work(tool, hit, told=told)
            return Examined(tuple(findings), tuple(hit for _, hit in handed), works=works)
        for media_type in media_types:
            for hit in await effects.search(partitions, question, limit=1, media_type=media_type):
                if hit.entry.attachment:
                    found = await run_tool(tool, arguments(hit.entry.attachment, question), hit.entry.title, effects)
                    return Examined(found.findings, (hit,), works=found.work(tool, hit))
        return Examined()

    return examine


def examine_evidence(tool: str, arguments: Callable[[str, tuple[Evidence, ...]], Struct]) -> Examine:
    """Runs a tool on the texts that were found; `arguments` are made of question and evidence."""

    async def examine(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
        if not hits:
            return Examined()
        found = await run_tool(tool, arguments(question, evidence_of(hits)), "the evidence", effects)
        return Examined(found.findings)

    return examine


async def run_tool(tool: str, arguments: Struct, subject: str, effects: Effects) -> Findings:
    """What the tool found; input it cannot use is a finding too, for the answer does not depend on one file."""
    try:
        found = await effects.tool(tool, arguments, Findings)
        await raise_alarms(found.alarms, tool, effects)
        return found
    except OutcomeError as error:
        return Findings((f"{tool.replace('_', ' ').capitalize()} could not use {subject}: {error}",))
