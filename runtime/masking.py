"""Secrets in texts that come from elsewhere: masked before anybody is told."""

import re

MASK = "***"

# What may slip into a message from a library: passwords in addresses, tokens, `password=…` in any notation.
_SECRETS = (
    (re.compile(r"(\b\w+://[^/\s:@]*:)[^@\s/]+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (
        re.compile(
            r"""(?i)(["']?\b\w*(?:password|passwd|secret|api[_-]?key|token|authorization)["']?\s*[=:]\s*["']?)(?!\s)[^\s"',;&}]+"""
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"), MASK),
    (re.compile(r"\bsk-[\w*.-]{5,}[\w*]"), MASK),
)


def mask(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
