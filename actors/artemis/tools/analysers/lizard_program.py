"""A program: the functions of all files below the working folder, by lizard, as JSON.

lizard's own command leaves out files with the text of another one, and what a comment asks it to (`#lizard forgives`,
`GENERATED CODE`); here each file counts, and comments are comments.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import lizard


def comments_out(tokens: Iterable[str], reader: lizard.CLikeReader) -> Iterator[str]:
    """lizard's `comment_counter` without its directives: the lines of comments stay, for what follows to be where it is."""
    for token in tokens:
        comment = reader.get_comment_from_token(token)
        if comment is None:
            yield token
        else:
            yield from "\n" * (len(comment.splitlines()) - 1)


if __name__ == "__main__":
    steps = [comments_out if one is lizard.comment_counter else one for one in lizard.get_extensions([])]
    paths = sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())
    found = {
        file.filename: [(one.name, one.start_line, one.length, one.cyclomatic_complexity) for one in file.function_list]
        for file in lizard.analyze_files([path for path in paths if lizard.get_reader_for(path)], exts=steps)
    }
    json.dump(found, sys.stdout)
