"""Which language a file is written in, by its name."""

from pathlib import PurePosixPath

LANGUAGES = {
    "py": "Python",
    "pyi": "Python",
    "js": "JavaScript",
    "jsx": "JavaScript",
    "mjs": "JavaScript",
    "ts": "TypeScript",
    "tsx": "TypeScript",
    "go": "Go",
    "rs": "Rust",
    "java": "Java",
    "kt": "Kotlin",
    "scala": "Scala",
    "c": "C",
    "h": "C",
    "cpp": "C++",
    "cc": "C++",
    "hpp": "C++",
    "cs": "C#",
    "rb": "Ruby",
    "php": "PHP",
    "swift": "Swift",
    "ex": "Elixir",
    "exs": "Elixir",
    "fs": "F#",
    "sh": "Shell",
    "sql": "SQL",
    "html": "HTML",
    "css": "CSS",
    "md": "Markdown",
    "rst": "reStructuredText",
    "json": "JSON",
    "yaml": "YAML",
    "yml": "YAML",
    "toml": "TOML",
    "ini": "INI",
    "cfg": "INI",
    "conf": "INI",
    "env": "INI",
    "lock": "Lock file",
    "mod": "Lock file",
    "sum": "Lock file",
    "txt": "Text",
    "tf": "Terraform",
    "hcl": "Terraform",
}
NAMED = {
    "Dockerfile": "Dockerfile",
    "Containerfile": "Dockerfile",
    "Makefile": "Shell",
    "justfile": "Shell",
    "Pipfile": "TOML",
}


def language_of(path: PurePosixPath) -> str | None:
    """The language by the file's name, or None where it is not known."""
    stem = path.name.partition(".")[0]
    if stem in ("Dockerfile", "Containerfile") or path.name in NAMED:
        return NAMED.get(path.name, "Dockerfile")
    extension = path.name.rsplit(".", 1)[-1].lower() if "." in path.name else ""
    return LANGUAGES.get(extension)
