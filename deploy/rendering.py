"""How answers, runs and tables look in a terminal: pure functions from what the API says to what rich prints.

Everything fits 100 columns and reads the same without colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from contracts.approval import ApprovalRequested
from contracts.catalogue import tag
from contracts.conversation import Contribution
from contracts.http import AnswerReply, EventView, Turn
from contracts.ids import derived_id
from contracts.kernel import EffectRecorded
from contracts.model import Evidence
from contracts.span import Span

TITLE_CHARS_MAX = 60
QUOTE_CHARS_MAX = 240
EFFECTS_MAX = 1_000  # of one reaction
EFFECT = tag(EffectRecorded)
APPROVAL_REQUESTED = tag(ApprovalRequested)
DOMAIN_STYLES = {"sophia": "magenta", "artemis": "cyan", "ceo": "yellow", "embedding": "blue", "system": "white"}
LABEL_STYLES = {"confidential": "yellow", "restricted": "red", "top_secret": "bold red"}


# Answers -------------------------------------------------------------------------------------------------------------


def answer(turn: Turn) -> RenderableType:
    """A turn with its answer (or why there is none): the text, what other domains added, the evidence, how sure."""
    if turn.answer is None:
        return Text(
            clean(turn.failure or "") or f"turn {turn.id} is {turn.status}", style="red" if turn.failure else ""
        )
    reply = turn.answer
    parts: list[RenderableType] = [prose(reply.content)]
    if reply.contributions:
        parts += [Text(), contributions(reply.contributions)]
    if reply.evidence:
        parts += [Text(), evidence(reply.evidence)]
    if quoted := quotations(reply):
        parts += [Text(), quoted]
    facts = (
        ("confidence", f"{reply.confidence:.2f}"),
        ("team", reply.team),
        ("model", reply.model),
        ("confidentiality", reply.label.value),
    )
    summed_up = Text(" · ".join(f"{name} {value}" for name, value in facts), style="bold")
    if turn.status == "partial":
        parts += [Text(), Text(_incomplete(turn), style="yellow")]
    return Group(*parts, Text(), summed_up, Text(f"session {turn.session}", style="dim"))


def _incomplete(turn: Turn) -> str:
    missing = ", ".join(f"{one.domain.value.capitalize()} ({one.why})" for one in turn.missing)
    after = f"and will be: {turn.failure}" if turn.failure else f"until that has come: {turn.status_url}"
    return clean(f"without {missing} {after}")


def prose(content: str) -> RenderableType:
    """Markdown's headings and list items, set for a terminal; everything else as it stands."""
    parts: list[RenderableType] = []
    for line in clean(content).splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            parts.append(Text(stripped.lstrip("# "), style="bold underline"))
        elif stripped.startswith(("- ", "* ")):
            grid = Table.grid(padding=0)
            grid.add_column(width=4)
            grid.add_column(ratio=1)
            grid.add_row("  • ", Text(stripped[2:]))
            parts.append(grid)
        else:
            parts.append(Padding(Text(stripped), (0, 0, 0, 2)) if stripped else Text())
    return Group(*parts)


def evidence(items: Sequence[Evidence]) -> Table:
    """What an answer rests on, best first as given."""
    shown = table("Evidence")
    shown.add_column("#", justify="right")
    shown.add_column("Title", ratio=1, no_wrap=True, overflow="ellipsis")
    shown.add_column("From", no_wrap=True, overflow="ellipsis", max_width=26)
    shown.add_column("Label", no_wrap=True)
    shown.add_column("Score", justify="right", no_wrap=True)
    for number, item in enumerate(items, start=1):
        origin = item.source or item.partition or "computed"
        texts = (
            Text(str(number)),
            Text(clean(item.title)),
            Text(clean(origin)),
        )  # Not as str: it may look like markup.
        shown.add_row(*texts, label(item.label.value), f"{item.score:.2f}")
    return shown


def quotations(reply: AnswerReply) -> RenderableType | None:
    """What the answer quotes word for word, by the evidence's number, each place once; None: nothing."""
    held = {item.id: item for item in reply.evidence}
    places = sorted(
        {
            (one.number, one.quote.start, one.quote.end, one.evidence)
            for one in reply.citations
            if one.quote is not None and one.evidence in held
        }
    )
    if not places:
        return None
    shown = table("Quoted")
    shown.add_column("#", justify="right")
    shown.add_column("Word for word", ratio=1)
    shown.add_column("At", justify="right", no_wrap=True)
    for number, start, end, identity in places:
        said = shortened(Span(start, end).of(held[identity].text), QUOTE_CHARS_MAX)
        shown.add_row(Text(str(number)), Text(said), Text(f"{start}–{end}"))
    return shown


def contributions(items: Sequence[Contribution]) -> Table:
    """What other domains added."""
    shown = table("Contributions")
    shown.add_column("Domain", no_wrap=True)
    shown.add_column("Asked for", no_wrap=True)
    shown.add_column("Said", ratio=1)
    shown.add_column("Conf.", justify="right", no_wrap=True)
    for item in items:
        said = shortened(item.summary or item.status, 240)
        status = "" if item.status == "completed" else f"{item.status}: "
        domain = Text(item.domain.value, style=DOMAIN_STYLES[item.domain.value])
        texts = (domain, Text(item.request_type.replace("_", " ")), Text(f"{status}{said}"))
        shown.add_row(*texts, f"{item.confidence:.2f}")
    return shown


# Runs ----------------------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """An event and what it led to, in order of time."""

    event: EventView
    children: "list[Node]" = field(default_factory=list)


def forest(events: Sequence[EventView]) -> list[Node]:
    """The events of a run as trees by causation; the roots are what the request itself caused, or whose cause is not visible.

    An event hangs under the event whose reaction sent its message, an effect under the event whose reaction did it, and what
    another domain did about a question under the effect that asked.
    """
    ordered = sorted(events, key=lambda event: (event.time, event.domain, event.sequence))
    nodes = {event.id: Node(event) for event in ordered}
    asking = _asking(ordered)
    roots: list[Node] = []
    for event in ordered:
        node = nodes[event.id]
        causes = (asking.get(event.causation or ""), event.reaction, event.causation)
        parent = next((nodes[cause] for cause in causes if cause in nodes and cause != event.id), None)
        (roots if parent is None else parent.children).append(node)
    return roots


def _asking(events: Sequence[EventView]) -> dict[str, str]:
    """Id of the message to another domain → id of the effect that sent it: both follow from the reaction and a number."""
    found: dict[str, str] = {}
    for event in events:
        if event.effect != "ask" or event.reaction is None:
            continue
        for number in range(EFFECTS_MAX):
            if derived_id(event.reaction, "effect", number) == event.id:
                found[derived_id(event.reaction, "ask", number)] = event.id
                break
    return found


def run_tree(events: Sequence[EventView]) -> RenderableType:
    """A run as a tree of events and effects, with what each is labelled and when it was recorded."""
    if not events:
        return Text("no events")
    shown = table(None)
    shown.add_column("Event", ratio=1, no_wrap=True, overflow="ellipsis")
    shown.add_column("Label", no_wrap=True)
    shown.add_column("After", justify="right", no_wrap=True)
    start = min(event.time for event in events)
    roots = forest(events)
    for number, root in enumerate(roots):
        _add_rows(shown, root, ("", number == len(roots) - 1), start)
    effects = sum(event.type == EFFECT for event in events)
    domains = sorted({event.domain.value for event in events})
    count = f"{len(events) - effects} events and {effects} effects in {', '.join(domains)}"
    return Group(
        Text(f"request {events[0].correlation} of {clean(events[0].principal)}", style="bold"), shown, Text(count)
    )


def _add_rows(shown: Table, node: Node, place: tuple[str, bool], start: datetime) -> None:
    """The rows of a node and of everything under it; `place` is what stands before it, and whether it is the last."""
    before, last = place
    event = node.event
    line = Text(f"{before}{'└─ ' if last else '├─ '}", style="dim")
    if event.type == EFFECT:
        line.append("effect ", style="dim")
        line.append(event.effect or "?", style="green")
    else:
        line.append(f"{event.domain.value} ", style=DOMAIN_STYLES[event.domain.value])
        line.append(f"{event.kind} ")
        line.append(event.type, style="bold")
    after_s = (event.time - start).total_seconds()
    shown.add_row(line, label(event.label.value), f"{after_s:.3f} s")
    under = f"{before}{'   ' if last else '│  '}"
    for number, child in enumerate(node.children):
        _add_rows(shown, child, (under, number == len(node.children) - 1), start)


def event_line(event: EventView) -> str:
    """One event as one line of text."""
    moment = event.time.astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
    what = f"{event.type} {event.effect}" if event.effect else event.type
    return (
        f"{moment}  {event.domain.value:<9} {what:<32} {event.label.value:<12} {event.kind}/{event.actor}  "
        f"run {event.correlation}"
    )


def approval_line(approval: str) -> str:
    """What who waits is told of the approval that it waits for."""
    return f"it waits for people's approval: diarchy approvals show {approval}"


def progress_line(event: EventView) -> str:
    """What a person waiting for an answer is told of an event."""
    if event.type == APPROVAL_REQUESTED:
        return approval_line(event.actor)
    what = f"effect {event.effect}" if event.effect else event.type.rpartition(".v")[0].replace("_", " ")
    return f"{event.domain.value}: {what}"


# Small things --------------------------------------------------------------------------------------------------------


def label(text: str) -> Text:
    return Text(text, style=LABEL_STYLES.get(text, ""))


def clean(text: str) -> str:
    """The text without control characters other than line feeds: a document must not be able to steer the terminal."""
    return "".join(c for c in text.expandtabs(2) if c == "\n" or (c.isprintable() or c == " "))


def shortened(text: str, chars_max: int) -> str:
    """One line of at most so many characters."""
    joined = " ".join(clean(text).split())
    return joined if len(joined) <= chars_max else joined[: chars_max - 1].rstrip() + "…"


def table(title: str | None) -> Table:
    """The one form of tables: a line under the heads, the full width."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        show_edge=False,
    )
