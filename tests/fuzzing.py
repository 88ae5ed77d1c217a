"""What of a route's cases at the limits of its fields a fuzz sends: it may have up to 1,800."""

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schemathesis.schemas import BaseSchema

TEXT = "A text."


class Boundaries:
    """All of the first `most` cases of a route, then each tenth; cases at random always."""

    def __init__(self, most: int, each: int = 10) -> None:
        self._most = most
        self._each = each
        self._met: Counter[str] = Counter()

    def wants(self, case: Any) -> bool:
        """Whether this case is to be sent."""
        if case.meta is None or case.meta.phase.name != "coverage":
            return True
        number = self._met[case.operation.label]
        self._met[case.operation.label] += 1
        return number < self._most or number % self._each == 0


def bounded(schema: "BaseSchema", boundaries: Boundaries) -> "BaseSchema":
    """What is not sent is left out before a test is made of it: to run one that does nothing takes as long as a request."""

    @schema.hook("filter_case")
    def wanted(_context: Any, case: Any) -> bool:
        return boundaries.wants(case)

    return schema


def alike_once(description: dict[str, Any]) -> dict[str, Any]:
    """The description in which a text that several bodies of a route have in common has its limits in the first of them only.

    In the others it is one and the same text: the 26 kinds of facts have title, text and origin, and to find their limits for
    each kind took a third of a fuzz.
    """
    schemas: dict[str, Any] = description["components"]["schemas"]
    for routes in description["paths"].values():
        for route in routes.values():
            for content in route.get("requestBody", {}).get("content", {}).values():
                met: list[tuple[str, Any]] = []
                for kind in content["schema"].get("anyOf", ()):
                    fields = schemas[kind["$ref"].rpartition("/")[2]]["properties"] if "$ref" in kind else {}
                    for name, field in fields.items():
                        if "pattern" in field and (name, field) in met:
                            fields[name] = {"enum": [TEXT]}
                        met.append((name, field))
    return description
