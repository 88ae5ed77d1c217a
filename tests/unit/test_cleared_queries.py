"""No query of a read model, and no read of the gateway, can be asked without saying how far its reader is cleared."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

import projections
from gateway.services import Reads

UNCLEARED = {
    "runs.end_of_events": "a cursor, which says no more than how much there is",
    "resting.raised_runs": "labels only, asked by the gateway to decide what of others' runs may be shown",
    "runs.label_of_run": "asked by the gateway to decide whether a trace may be shown",
    "strategic.knowledge_epoch": "a number that changes with the knowledge",
    "users.get_user": "before there is a reader: it holds the password's hash",
    "approvals.list_approvals": "its reader is a `Reader`, whose clearance filters",
    "work.work_since": "counts and times of each agent's work, no word of it",
    "Reads.approvals": "as approvals.list_approvals",
    "Reads.work": "as work.work_since",
    "Reads.end_of_events": "as runs.end_of_events",
    "Reads.label_of_run": "as runs.label_of_run",
    "Reads.raised_runs": "as resting.raised_runs",
    "Reads.knowledge_epoch": "as strategic.knowledge_epoch",
}


def _queries() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in iter_modules(projections.__path__):
        found = vars(import_module(f"projections.{module.name}")).items()
        for name, value in found:
            own = inspect.iscoroutinefunction(value) and value.__module__.endswith(f".{module.name}")
            if own and "db" in inspect.signature(value).parameters and not name.startswith("_"):
                yield f"{module.name}.{name}", value
    for name, value in vars(Reads).items():
        if inspect.iscoroutinefunction(value):
            yield f"Reads.{name}", value


QUERIES = dict(_queries())


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_takes_the_clearance_of_its_reader(name: str) -> None:
    clearance = inspect.signature(QUERIES[name]).parameters.get("clearance")
    if name in UNCLEARED:
        assert clearance is None
    else:
        assert clearance is not None
        assert clearance.default is inspect.Parameter.empty


def test_every_exception_is_a_query_and_all_are_found() -> None:
    assert set(UNCLEARED) <= set(QUERIES)
    assert len(QUERIES) > 20
