"""What people are told of a text that has not the form that it must have: words, where msgspec names a pattern."""

from contracts.conversation import REPOSITORY

_FORMS = {
    f"Expected `str` matching regex {pattern!r}": told
    for pattern, told in {
        r"\S": "must not be blank",
        REPOSITORY: "must be an absolute path, or the https address of a git repository without user, password or query, with"
        " `#` and a branch, tag or commit where one is meant",
    }.items()
}


def in_words(said: str) -> str:
    """What msgspec says of a value, with or without its path."""
    detail, at, path = said.partition(" - at ")
    return f"{_FORMS.get(detail, detail)}{at}{path}"
