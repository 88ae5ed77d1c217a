"""Profiles as profilers write them: of one program (`slow` works three times as long as `quick`) by py-spy and pyinstrument."""

import contextlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from actors.artemis.tools.performance_analysis import FUNCTIONS_MAX, of_profiles
from actors.artemis.tools.profiles import MEDIA_TYPES, Profile, Stack, functions, read_profile, shifts
from deploy.folder_import import read_folder
from runtime.errors import OutcomeError

HERE = Path(__file__).parent / "profiles"
SPEEDSCOPE, FOLDED, PYINSTRUMENT = (
    (HERE / f"work.{ending}").read_bytes() for ending in ("speedscope.json", "folded", "pyinstrument.json")
)


def test_samples_of_speedscope_are_counted_by_function() -> None:
    tree = json.loads(SPEEDSCOPE)
    names = [frame["name"] for frame in tree["shared"]["frames"]]
    on_top = Counter(names[sample[-1]] for sample in tree["profiles"][0]["samples"] if sample)
    profile = read_profile(SPEEDSCOPE)
    slow, quick, *rest = functions(profile)
    assert (profile.unit, profile.total) == ("samples", on_top.total())
    assert {slow.name: slow.own, quick.name: quick.own} == {
        f"{name} (work.py)": count for name, count in on_top.items()
    }
    assert (slow.name, slow.own > 1.5 * quick.own) == ("slow (work.py)", True)
    assert {one.name: (one.own, one.total_share) for one in rest} == {
        "main (work.py)": (0, 1.0),
        "<module> (work.py)": (0, 1.0),
    }


def test_collapsed_stacks_are_one_function_whichever_line_of_it_ran() -> None:
    slow = sum(int(count) for count in re.findall(r"slow \(work\.py:\d+\) (\d+)\n", FOLDED.decode()))
    profile = read_profile(FOLDED)
    assert functions(profile)[0].own == slow
    assert profile.total == sum(int(line.rsplit(" ", 1)[1]) for line in FOLDED.decode().splitlines())
    two_lines = read_profile(b"main (a.py:1);f (a.py:2) 3\nmain (a.py:1);f (a.py:3) 4\n")
    assert two_lines.stacks == {("main (a.py)", "f (a.py)"): 7.0}


def test_own_time_of_pyinstrument_is_of_the_function_and_sums_up_to_the_whole() -> None:
    profile = read_profile(PYINSTRUMENT)
    found = {one.name: one for one in functions(profile)}
    whole = json.loads(PYINSTRUMENT)["root_frame"]["time"]
    assert profile.total == pytest.approx(whole, abs=1e-4)
    assert profile.unit == "seconds"
    assert not any("[self]" in name for name in found)
    assert found["slow (work.py)"].total > 2 * found["quick (work.py)"].total > 0


def test_weights_count_samples_only_where_they_are_numbers_of_them() -> None:
    def weighted(unit: str, *weights: float) -> Profile:
        sampled = {"type": "sampled", "unit": unit, "samples": [[0], [1]], "weights": weights}
        frames = [{"name": "a"}, {"name": "b"}]
        schema = "https://www.speedscope.app/file-format-schema.json"
        return read_profile(
            json.dumps({"$schema": schema, "shared": {"frames": frames}, "profiles": [sampled]}).encode()
        )

    for unit, weights, said in (
        ("seconds", (0.01, 0.01), "samples"),
        ("none", (3, 9), "samples"),
        ("seconds", (3, 9), "seconds"),
    ):
        profile = weighted(unit, *weights)
        assert profile.unit == said
        assert profile.stacks[("b",)] / profile.stacks[("a",)] == pytest.approx(weights[1] / weights[0])


def test_what_took_more_of_the_samples_is_named_and_nothing_else() -> None:
    before = Profile("", "samples", {("main", "parse"): 400.0, ("main", "render"): 400.0, ("main", "log"): 200.0})
    after = Profile("", "samples", {("main", "parse"): 900.0, ("main", "render"): 400.0, ("main", "log"): 200.0})
    parse = next(one for one in shifts(before, after) if one.name == "parse")
    assert (parse.before, parse.after) == (0.4, 0.6)
    assert 0.15 < parse.low < 0.2 < parse.high < 0.25
    assert parse.adjusted < 1e-9
    for one in shifts(before, after):
        pair = round(one.before * 1_000), round(one.after * 1_500)
        low, high = confint_proportions_2indep(pair[1], 1_500, pair[0], 1_000, method="newcomb")
        assert (one.low, one.high) == pytest.approx((low, high))
    found = sorted(float(proportions_ztest(pair, (1_000, 1_500))[1]) for pair in ((400, 900), (400, 400), (200, 200)))
    assert parse.adjusted == pytest.approx(3 * found[0])
    same = of_profiles([before, before])
    assert "Against the earlier profile 0 of 3 functions have another share" in " ".join(same.findings)
    few = of_profiles([Profile("", "samples", {("a",): 9.0}), before])
    assert "these have 9 and 1000" in " ".join(few.findings)


def test_profiles_of_very_many_functions_are_compared_all_and_told_in_part() -> None:
    """Twice 50,000 functions: one at a time they took longer than a tool may."""
    before = Profile("", "samples", {(f"f{at}",): 1.0 for at in range(50_000)})
    after = Profile("", "samples", before.stacks | {("f7",): 900.0})
    result = of_profiles([before, after])
    assert "Against the earlier profile 1 of 50,000 functions" in " ".join(result.findings)
    assert (len(result.shifts), result.shifts[0].name) == (FUNCTIONS_MAX, "f7")
    only = Profile("", "samples", {("a",): 500.0})
    assert [one.adjusted for one in shifts(only, only)] == [1.0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no stacks"),
        (b"a;b 0\n", "no stacks"),
        (b"a;b\n", "line 1 is not a stack with a count"),
        (b"{}", "no profile that is known here"),
        (b'{"root_frame": {"function": "f", "time": 1e999}}', "a weight that is no number"),
        (b'{"root_frame": 3}', "not a profile as its form has them"),
        (b"{\x00marshal", "cProfile"),
        (b"\xfb\x00marshal", "cProfile"),
    ],
)
def test_what_is_no_profile_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(OutcomeError, match=reason):
        read_profile(data)


names = st.text("abc ();:1é", min_size=1, max_size=6).filter(lambda name: ";" not in name and name.strip())
stacks = st.dictionaries(st.lists(names, min_size=1, max_size=4).map(tuple), st.integers(0, 99), min_size=1, max_size=9)


@given(stacks)
def test_shares_of_own_samples_are_of_the_whole(given: dict[Stack, int]) -> None:
    data = "\n".join(f"{';'.join(stack)} {count}" for stack, count in given.items()).encode()
    if not any(given.values()):
        return
    profile = read_profile(data)
    assert profile.total == sum(given.values())
    found = functions(profile)
    assert sum(one.own_share for one in found) == pytest.approx(1.0)
    assert all(0 <= one.own <= one.total <= profile.total for one in found)


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_are_a_profile_or_refused(data: bytes) -> None:
    for some in (
        data,
        b'{"root_frame": ' + data,
        b'{"root_frame": {"function": "f", "time": 1, "children": [' + data + b"]}}",
    ):
        with contextlib.suppress(OutcomeError):
            assert functions(read_profile(some))


def test_profiles_are_imported_by_what_they_hold_and_other_json_is_left_out(tmp_path: Path) -> None:
    for name, data in {
        "profile.json": SPEEDSCOPE,
        "run.folded": FOLDED,
        "web.pyinstrument.json": PYINSTRUMENT,
        "settings.json": b'{"a": 1}',
        "broken.json": b'{"root_frame": 3}',
    }.items():
        (tmp_path / name).write_bytes(data)
    found = read_folder(tmp_path)
    assert found.skipped == ("settings.json",)
    assert [failure.path for failure in found.failures] == ["broken.json"]
    items = {item.key: item for item in found.items}
    kinds = {key: item.knowledge.attachment.media_type for key, item in items.items() if item.knowledge.attachment}
    assert kinds == {
        "profile.json": MEDIA_TYPES["speedscope"],
        "run.folded": MEDIA_TYPES["collapsed stacks"],
        "web.pyinstrument.json": MEDIA_TYPES["pyinstrument"],
    }
    profile = items["profile.json"]
    assert profile.content == SPEEDSCOPE
    assert (profile.knowledge.title, profile.knowledge.partition) == ("Profile profile", "artemis_technical")
    assert "slow (work.py): 65.87 % by itself." in profile.knowledge.content
