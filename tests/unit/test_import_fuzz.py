"""Whatever files hold, importing them ends with items and reasons, never with a traceback."""

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.knowledge import Knowledge
from deploy.folder_import import read_folder

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("2027-01-01"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*Knowledge.__struct_fields__, "id", "text", "other"])
LINES = st.lists(
    st.dictionaries(FIELDS, VALUES, max_size=6).map(msgspec.json.encode) | st.binary(max_size=40), max_size=4
)
FRONT = st.lists(st.tuples(FIELDS, st.text(max_size=20)), max_size=4).map(
    lambda pairs: "---\n" + "\n".join(f"{name}: {value}" for name, value in pairs) + "\n---\nWords."
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "a.md": FRONT.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=200),
            "b.txt": st.binary(max_size=200),
            "c.csv": st.binary(max_size=200) | st.text(alphabet='a1,;"\n\t é', max_size=200).map(str.encode),
            "d.jsonl": LINES.map(b"\n".join),
            "a.md.meta": st.binary(max_size=60),
        }
    )
)
def test_any_bytes_under_any_name_become_items_or_reasons(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        found = read_folder(Path(folder))
    for item in found.items:
        assert msgspec.json.decode(msgspec.json.encode(item.knowledge), type=Knowledge) == item.knowledge
    assert {failure.path for failure in found.failures} <= set(files)
    assert all(failure.reason for failure in found.failures)
