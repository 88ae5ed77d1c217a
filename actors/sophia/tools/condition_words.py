"""The words by which a question restricts itself: how numbers are compared, what is meant or denied, who left."""

import operator
import re
from collections.abc import Callable

from runtime.text import stem

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    **dict.fromkeys(("at least", "no less than", "not less than", "not under", "not below", ">=", "≥"), operator.ge),
    **dict.fromkeys(
        ("at most", "no more than", "not more than", "up to", "not over", "not above", "<=", "≤"), operator.le
    ),
    **dict.fromkeys(("more than", "greater than", "longer than", "higher than", "above", "over", ">"), operator.gt),
    **dict.fromkeys(("less than", "fewer than", "shorter than", "lower than", "below", "under", "<"), operator.lt),
    **dict.fromkeys(("exactly", "equal to", "of", "="), operator.eq),
}
"""How a number is compared, by the words for it."""
AFTER: dict[str, Callable[[float, float], bool]] = {
    "or more": operator.ge,
    "and more": operator.ge,
    "or less": operator.le,
    "or fewer": operator.le,
    "or longer": operator.ge,
}
"""The same, by words behind the number."""
SIGNS: dict[Callable[[float, float], bool], str] = {
    operator.ge: "at least",
    operator.le: "at most",
    operator.gt: "above",
    operator.lt: "below",
    operator.eq: "=",
}
ALIASES = {
    "woman": "femal",
    "women": "femal",
    "man": "mal",
    "men": "mal",
    "fibr": "fiber",
    "chequ": "check",
    "win": "won",
    "los": "lost",
}
"""What values are called otherwise; stems."""
NAMED_NUMBERS = {
    name: number
    for number, name in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)  # noqa: SIM905 - a word a line would be pages
}
VALUES_MAX = 50
UNREAD_MAX = 4
NEAR = 3  # words before a name that say whether it is meant or denied
FAR = 6  # the same, for words that deny
BEFORE = 6  # words before a number that may name its column

WORD = re.compile(r"\d[\d,]*(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)?")
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
A_UNIT = r"(?<!of )(?<!over )(?<!per )(?<!from )a(?=\s+(?:year|month)\b)"
NUMBER = rf"(?P<number>\d[\d,]*(?:\.\d+)?|{'|'.join(NAMED_NUMBERS)}|{A_UNIT})\b"
UNIT = r"(?:[\s-]*(?P<unit>years?|months?)\b)?"
MONEY_SIGN = r"\s*(?:[€$£]|EUR|USD|CHF|GBP)?\s*"
PHRASES = "|".join(sorted((re.escape(one).replace(r"\ ", r"\s+") for one in COMPARISONS), key=len, reverse=True))
COMPARED = re.compile(rf"(?<!\w)(?P<phrase>{PHRASES}){MONEY_SIGN}{NUMBER}{UNIT}", re.IGNORECASE)
TRAILED = re.compile(rf"(?<!\w){NUMBER}{UNIT}\s+(?P<phrase>{'|'.join(AFTER)})\b", re.IGNORECASE)
BETWEEN = re.compile(
    rf"(?<!\w)(?:between|from){MONEY_SIGN}{NUMBER}\s+(?:and|to){MONEY_SIGN}{NUMBER.replace('number', 'other')}{UNIT}",
    re.IGNORECASE,
)
PAYING = frozenset(map(stem, ("pay", "pays", "paying", "charged", "spend", "spending", "bill", "worth")))
LASTING = frozenset(map(stem, ("tenure", "stayed", "longer", "loyal")))
NO = frozenset(
    """without no not nor neither never none cannot can't won't isn't aren't wasn't weren't don't doesn't didn't haven't hasn't
    hadn't lack lacks lacking except excluding excludes outside non besides minus""".split()  # noqa: SIM905 - a word a line would be pages
)
"""Words that deny the condition behind them; `other than` and its like are two."""
PAIRS = {"other": "than", "rather": "than", "apart": "from", "but": "not", "instead": "of"}
OF_ALL = frozenset(
    ("without", "neither", "nor", "except", "excluding", "excludes", "outside", "other", "apart", "besides", "minus")
)
"""Those that deny all that is joined by `and`, too."""
WHOM = frozenset(
    map(stem, ("customers", "clients", "people", "users", "accounts", "ones", "subscribers", "households"))
)
YES = frozenset(
    "with have has having had of among for are is on use uses using get gets take who do does paying pay pays by".split()  # noqa: SIM905 - a word a line would be pages
)
LEFT = re.compile(
    r"\b(?:(?:who|that|which)\s+(?:have\s+|has\s+|had\s+)?(?:already\s+)?(?:left|churned|cancell?ed)|(?:have|has)\s+(?:left|churned"
    r"|cancell?ed)|(?:churned|lost|former|cancell?ed)\s+(?:customers?|clients?)|leavers)\b",
    re.IGNORECASE,
)
STAYED = re.compile(
    r"\b(?:who|that)\s+(?:have\s+)?(?:stayed|remain(?:ed)?)\b|\bstill\s+here\b|\b(?:who|that)?\s*(?:did\s+not|didn['’]t|have\s+not"
    r"|haven['’]t)\s+(?:leave|left|churn(?:ed)?|cancel(?:l?ed)?)\b|\b(?:remaining|retained|current|active)\s+(?:customers?|clients?)\b",
    re.IGNORECASE,
)
HEADS = frozenset(
    "with without who whose in among for on from since during before after by where aged above over under below between".split()  # noqa: SIM905 - a word a line would be pages
)
JOINS = frozenset(("and", "or", "but", "that", "which"))
SOURCE = frozenset(("tabl", "data", "fil", "csv", "sheet", "fact", "column"))
GENERAL = frozenset(
    map(
        stem,
        """customer client people person user business company churn churned rate rates left leave leaves leaving stay stayed lose
        losing lost retain retention risk risks many number count average mean median typical share percent percentage group
        groups segment segments figure figures whole total reason reasons cause causes because pay pays paying charge charges
        likely most more less general detail account accounts money revenue month months year years tenure term terms contract
        contracts deal deals pipeline all each every type kind""".split(),  # noqa: SIM905 - prose wraps better than a list
    )
)
"""Words of any question, which restrict it to nothing; stems."""
