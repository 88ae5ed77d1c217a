"""Planted leaks, one an exit and more: each takes one check away. A property that does not find them would not find others."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import msgspec
from msgspec import Struct

from actors import conversation, findable, memory
from actors.ceo import knowledge_item
from adapters import similar_searches, vector_payload
from contracts.conversation import Asked
from contracts.curating import KnowledgeVersion
from contracts.domains import Clearance
from gateway import conversing, routes, versions
from gateway.commands import CURATE
from gateway.execution import Execution
from gateway.rows import Answers, Does, Route
from projections import knowledge, resting, runs, summaries
from projections.runs import RUNS, RunRecord
from runtime import effects
from runtime.asking import Requesting
from runtime.effects import Effects
from runtime.run import Run
from tests.folded_reads import FoldedReads

TOP = Clearance.TOP_SECRET
Leak = Callable[[], AbstractContextManager[None]]


class Planted(Struct, frozen=True):
    """A leak, and the exits at which it is looked for."""

    leak: Leak
    exits: tuple[str, ...]


def _raised(incoming: Any) -> Any:
    """The request as if its asker were cleared for everything."""
    return replace(incoming, principal=msgspec.structs.replace(incoming.principal, clearance=TOP))


def _row(route: Route, what: str) -> Route:
    """A row whose answer, live stream or reply does not look at the asker's clearance."""
    action: Any = route.action
    unchecked = getattr(action, what)

    def answer(incoming: Any, *more: Any) -> Any:
        return unchecked(_raised(incoming), *more)

    return replace(route, action=replace(action, **{what: answer}))


def _rows(what: str, *paths: str, method: str = "GET") -> Leak:
    @contextmanager
    def planted() -> Iterator[None]:
        rows = [
            _row(row, what)
            if row.path in paths and row.method == method and isinstance(row.action, Answers | Does)
            else row
            for row in routes.ROUTES
        ]
        with mock.patch.object(routes, "ROUTES", tuple(rows)):
            yield

    return planted


@contextmanager
def _open_to_curators() -> Iterator[None]:
    """Anybody who may change items may lower them."""
    rows = [replace(row, permissions=CURATE) if row.path.endswith("/declassify") else row for row in routes.ROUTES]
    with mock.patch.object(routes, "ROUTES", tuple(rows)):
        yield


def _around(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Leak:
    """`owner.name` replaced by what `wrap` makes of it."""

    @contextmanager
    def planted() -> Iterator[None]:
        with mock.patch.object(owner, name, wrap(getattr(owner, name))):
            yield

    return planted


def _unchecked_progress(unseen: Any) -> Any:
    async def all_of_it(execution: Execution, shown: Any) -> Any:
        attempt = execution._attempt
        execution._attempt = replace(attempt, principal=msgspec.structs.replace(attempt.principal, clearance=TOP))
        try:
            return await unseen(execution, shown)
        finally:
            execution._attempt = attempt

    return all_of_it


def _filter(**changes: Any) -> Callable[[Any], Any]:
    """The engine's filter without one of its conditions."""
    return lambda conditions: lambda query: msgspec.structs.replace(conditions(query), **changes)


def _for_all_to_know(summary: Any) -> Any:
    """The summary of everything, said to be public."""

    async def told(self: Effects, *asked: Any) -> Any:
        label, cause = self._run.label, self._cause
        self._cause = msgspec.structs.replace(cause, clearance=TOP)
        try:
            found = await summary(self, *asked)
        finally:
            self._cause, self._run.label = cause, label
        priorities = tuple(msgspec.structs.replace(one, label=Clearance.PUBLIC) for one in found.priorities)
        return msgspec.structs.replace(found, priorities=priorities)

    return told


def _unjoined(perform: Any) -> Any:
    """Effects do not raise the label of their run."""

    async def performed(
        run: Run, begun: Any, name: str, returns: Any, do: Any, _label: Any = None, guard: str = ""
    ) -> Any:
        return await perform(run, begun, name, returns, do, lambda _: Clearance.PUBLIC, guard)

    return performed


def _unlabelled_reply(outcome_of: Any) -> Any:
    async def asked(requesting: Requesting) -> Any:
        before = requesting._run.label
        outcome = await outcome_of(requesting)
        requesting._run.label = before
        return outcome

    return asked


def _unlabelled_history(ask: Any) -> Any:
    def asked(state: Any, message: Any) -> Any:
        return [
            msgspec.structs.replace(event, label=Clearance.PUBLIC) if isinstance(event, Asked) else event
            for event in ask(state, message)
        ]

    return asked


def _unlabelled_memory(remembered: Any) -> Any:
    def kept(recorded: Any, answered: Any) -> Any:
        put = remembered(recorded, answered)
        return msgspec.structs.replace(put, entry=msgspec.structs.replace(put.entry, label=Clearance.PUBLIC))

    return kept


def _own_labels(_labelled: Any) -> Any:
    def rows(reads: FoldedReads) -> list[RunRecord]:
        return reads._fold(RUNS)

    return rows


def _as_recorded(_raised: Any) -> Any:
    """Nobody asks what runs rest on."""

    async def none(_reads: Any, _correlations: Any) -> dict[str, Clearance]:
        return {}

    return none


@contextmanager
def _own_labels_in_sql() -> Iterator[None]:
    """The database does not look at what an item is now."""
    with (
        mock.patch.object(runs, "_COLUMNS", ", ".join(name for name in RunRecord.__struct_fields__ if name != "body")),
        mock.patch.object(runs, "_visible", lambda reader: f" AND label <= {reader}::text::diarchy.clearance"),
    ):
        yield


def _for_everybody(read: Any) -> Any:
    def items(*asked: Any, clearance: Clearance, **more: Any) -> Any:  # noqa: ARG001 - the query's
        return read(*asked, clearance=TOP, **more)

    return items


def _lowering(changed: Any) -> Any:
    def lowered(by: str, held: Any, said: Any, imported: Any) -> Any:
        return changed(by, msgspec.structs.replace(held, confidentiality=Clearance.PUBLIC), said, imported)

    return lowered


def _reviving(imported: Any) -> Any:
    def revived(state: Any, message: Any) -> Any:
        return imported(msgspec.structs.replace(state, ended=Clearance.PUBLIC), message)

    return revived


def _unlabelled_pieces(written: Any) -> Any:
    return lambda **fields: written(**{**fields, "label": Clearance.PUBLIC})


def _shared_by_all(key: Any) -> Any:
    return lambda query: key(msgspec.structs.replace(query, clearance=Clearance.PUBLIC))


def _foreign_session(head: Any) -> Any:
    async def found(services: Any, principal: Any, session: str) -> Any:
        return await head(services, msgspec.structs.replace(principal, clearance=TOP), session)

    return found


def _ever(read: Any) -> Any:
    """Reads that know of no expiry."""

    async def found(reads: FoldedReads, ids: Any, *, clearance: Clearance, now: Any) -> Any:  # noqa: ARG001 - the port's
        return await read(reads, ids, clearance=clearance, now=datetime.min.replace(tzinfo=UTC))

    return found


def _as_it_was(_label: Clearance, version: KnowledgeVersion) -> KnowledgeVersion:
    return version


def _everybodys(_whose: Any) -> Any:
    return lambda _actor, _envelope: None


def _whoever_asked(key: Any) -> Any:
    """A cache that does not look at the clearance."""
    return lambda space, _clearance, what: key(space, TOP, what)


_ANSWERS = ("/v1/sophia/ask", "/v1/artemis/ask", "/v1/sessions/{session}/messages")
_ASKING = ("answer", "answer_stream")

MUTANTS: dict[str, Planted] = {
    "an answer, asked for again": Planted(_rows("reply", *_ANSWERS, method="POST"), ("repeat",)),
    "a streamed answer, asked for again": Planted(_rows("reply", *_ANSWERS, method="POST"), ("repeat_stream",)),
    "a stream's progress": Planted(_around(Execution, "_unseen", _unchecked_progress), ("repeat_stream",)),
    "a page of events": Planted(_rows("answer", "/v1/events"), ("events",)),
    "a page of journals": Planted(_rows("answer", "/v1/events"), ("journals",)),
    "events as they come": Planted(_rows("live", "/v1/events"), ("live",)),
    "a chat, asked for again": Planted(_rows("answer", "/v1/chat/completions/{completion}"), ("chat", "completion")),
    "a chat's stream, asked for again": Planted(
        _rows("chunks", "/v1/chat/completions", method="POST"), ("chat_stream", "repeat")
    ),
    "what is written of an answer": Planted(_around(effects, "Written", _unlabelled_pieces), ("chat_stream",)),
    "a cache of searches": Planted(_around(similar_searches, "_key", _shared_by_all), _ASKING),
    "a run": Planted(_rows("answer", "/v1/runs/{correlation}"), ("run",)),
    "a trace": Planted(_rows("answer", "/v1/traces/{correlation}"), ("trace",)),
    "a session's turns": Planted(_rows("answer", "/v1/sessions/{session}/messages"), ("sessions",)),
    "an analysis": Planted(_rows("answer", "/v1/analyses/{analysis}"), ("analyses",)),
    "a search": Planted(_rows("answer", "/v1/knowledge/search", method="POST"), ("search",)),
    "a list of items": Planted(_rows("answer", "/v1/knowledge"), ("listing",)),
    "an item": Planted(_rows("answer", "/v1/knowledge/{item}"), ("item",)),
    "an item's versions": Planted(_rows("answer", "/v1/knowledge/{item}/versions"), ("versions",)),
    "a version of a raised item": Planted(_around(versions, "_at_least", lambda _: _as_it_was), ("versions",)),
    "a summary": Planted(_rows("answer", "/v1/knowledge/summary"), ("summary",)),
    "a summary that somebody else asked for": Planted(_around(summaries, "Key", _whoever_asked), ("summary",)),
    "the change of an item": Planted(_rows("build", "/v1/knowledge/{item}", method="PUT"), ("change",)),
    "a repeated write": Planted(
        _rows("reply", "/v1/knowledge", "/v1/knowledge/imports", method="POST"), ("rewritten",)
    ),
    "an update that lowers": Planted(_around(knowledge_item, "_changed", _lowering), ("lowering",)),
    "an import that brings an item back": Planted(_around(knowledge_item, "_imported", _reviving), ("item",)),
    "who may lower": Planted(_open_to_curators, ("lowering",)),
    "the filter of the engine": Planted(_around(vector_payload, "conditions", _filter(rank_max=TOP.rank)), _ASKING),
    "what has expired, in search": Planted(_around(vector_payload, "conditions", _filter(now_epoch_s=0.0)), _ASKING),
    "what has expired, as an item": Planted(_around(FoldedReads, "knowledge", _ever), ("item",)),
    "a raised item's events": Planted(_around(FoldedReads, "_labelled", _own_labels), ("events", "live")),
    "what rests on a raised item": Planted(
        _around(FoldedReads, "raised_runs", _as_recorded), ("events", "journals", "live", "run")
    ),
    "the join over effects": Planted(_around(Run, "perform_begun", _unjoined), _ASKING),
    "another domain's reply": Planted(_around(Requesting, "outcome", _unlabelled_reply), ("collaboration",)),
    "a summary that an analysis rests on": Planted(_around(Effects, "summary", _for_all_to_know), ("analyses",)),
    "a session's history": Planted(_around(conversation, "_ask", _unlabelled_history), _ASKING),
    "a session above its owner": Planted(_around(conversing, "session_head", _foreign_session), _ASKING),
    "the label of a memory": Planted(_around(findable, "_remembered", _unlabelled_memory), _ASKING),
    "what domains were asked": Planted(_rows("answer", "/v1/collaborations"), ("collaborating", "collaborations")),
    "an approval": Planted(_rows("answer", "/v1/approvals/{approval}"), ("approvals",)),
    "a list of approvals": Planted(_rows("answer", "/v1/approvals"), ("approvals",)),
    "an approval of what was raised since": Planted(_around(FoldedReads, "raised_runs", _as_recorded), ("approvals",)),
    "what is remembered": Planted(_rows("answer", "/v1/memories"), ("memories",)),
    "alerts": Planted(_rows("answer", "/v1/alerts"), ("alerts",)),
    "whose memory it is": Planted(_around(memory, "whose", _everybodys), _ASKING),
}

STORED: dict[str, Planted] = {
    "a raised item's events, in the database": Planted(_own_labels_in_sql, ("events", "journals")),
    "what rests on a raised item, in the database": Planted(
        _around(resting, "raised_runs", _as_recorded), ("events", "journals", "run")
    ),
    "a list of items, in the database": Planted(_around(knowledge, "list_items", _for_everybody), ("listing",)),
    "an item, in the database": Planted(_around(knowledge, "get_items", _for_everybody), ("item",)),
}
"""Leaks of the queries themselves."""
