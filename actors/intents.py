"""What the tools that work on data of their own are there to answer, in beginnings of a question's words; pure.

A router's cues say who should answer; these say whether a tool does: `lint` asks nothing of a router, and `code` nothing of a
tool. What a question has besides is what it asks of, and has to be found in the findings.
"""

import re
from collections.abc import Mapping

from runtime.text import words

_SAY_NOTHING = frozenset(
    words(
        "many much show list tell give name find kind current currently today there have get made make take us want need like"
        " among across within without since first five ten high low big large long"
    )
)
_WORD = re.compile(r"[a-z][a-z0-9-]+")
_RISK = ("churn", "leav", "lose", "losing", "lost", "retain", "retention", "risk", "cancel", "attrition")

ANSWERS: Mapping[str, tuple[str, ...]] = {
    "client_analysis": (
        *_RISK, "customer", "client", "segment", "driv", "left", "stay", "tenure", "charge", "contract", "women", "woman", "male",
        "female", "senior", "subscri", "paying", "pays",
    ),
    "client_health": (*_RISK, "customer", "client", "segment", "health", "usage"),
    "sales_intelligence": (
        "sale", "sell", "deal", "pipeline", "upsell", "revenue", "win", "won", "forecast", "conver", "stage", "slip", "quarter",
        "expect", "bring", "next", "open",
    ),
    "code_analysis": (
        "code", "source", "complex", "lint", "dead", "unused", "depend", "import", "cycl", "layer", "refactor", "hot",
        "attention", "file", "function", "module", "line", "maintain", "quality", "debt", "structure", "size", "large",
    ),
    "security": (
        "secur", "vulnerab", "secret", "password", "inject", "leak", "weak", "exploit", "depend", "advisor", "misconfig",
        "attack",
    ),
    "system_monitoring": (
        "health", "unusual", "anomal", "monitor", "metric", "cpu", "memory", "disk", "load", "jetstream", "queue", "backlog",
        "wrong", "strange", "error", "latency", "status", "consumer",
    ),
    "performance_analysis": (
        "slow", "fast", "performance", "bottleneck", "profil", "operation", "latency", "hot", "regress", "speed", "time",
        "function",
    ),
}  # fmt: skip


def meant(tool: str, question: str) -> bool:
    """Whether the question asks for what the tool is there for."""
    return any(_answers(tool, word) for word in _WORD.findall(question.lower()))


def beside(tool: str, question: str) -> frozenset[str]:
    """What else the question asks about, as `runtime.text.words` has it."""
    left = " ".join(word for word in re.findall(r"[\w.%-]+", question.lower()) if not _answers(tool, word))
    return frozenset(words(left)) - _SAY_NOTHING


def _answers(tool: str, word: str) -> bool:
    return word.startswith(ANSWERS.get(tool, ()))
