"""What the manifest of the vector index says next: which generations serve, which of them the last swap replaced, which can go.

One swap can be taken back, whole: what served before it may be several generations, and one that serves other partitions still.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from contracts.domains import Domain, Partition
from contracts.vectors import Building, Generation, Manifest, Spec, Swap

KEPT_S_MAX = 86_400.0  # how long the last swap can be taken back

Due = tuple[Generation, ...]
"""What is to serve next, each for its `partitions` here: a new one (`building`), or what served these before the last swap."""


def named(due: Due) -> str:
    """The name of a build."""
    return ", ".join(one.name for one in due)


def goes_back(due: Due) -> bool:
    return all(one.state != "building" for one in due)


def building(due: Due) -> Building:
    """What is told of a build from the moment it is asked for: its name is in the manifest only a flush later."""
    partitions = tuple(partition for one in due for partition in one.partitions)
    return Building(generation=named(due), spec=due[0].spec, partitions=partitions)


def lacking(manifest: Manifest, spec: Spec, partitions: Sequence[Partition]) -> tuple[Partition, ...]:
    """The partitions that nothing serves which was made as it is wanted."""
    served = [one for one in manifest.generations if one.state == "serving" and one.spec == spec]
    good = {partition for one in served for partition in one.partitions}
    return tuple(partition for partition in partitions if partition not in good)


def replaced(manifest: Manifest, spec: Spec) -> Due:
    """What the last swap replaced; nothing, unless all of it was made as it is wanted now."""
    if manifest.swap is None:
        return ()
    before = manifest.swap.replaced
    due = tuple(replace(one, partitions=before[one.name]) for one in manifest.generations if one.name in before)
    return due if all(one.spec == spec for one in due) else ()


def begun(manifest: Manifest, due: Due) -> Manifest:
    """From here on a crash does not end the build."""
    if goes_back(due):
        return replace(manifest, goes_back=True)
    names = {one.name for one in due}
    others = [one for one in manifest.generations if one.name not in names]
    return replace(manifest, generations=(*others, *due), goes_back=False)


def swapped(manifest: Manifest, due: Due, positions: Mapping[str, Mapping[Domain, int]], now: datetime) -> Manifest:
    """It serves, each for its partitions; what served these before is kept, and noted as what the swap replaced."""
    gets = {one.name: one.partitions for one in due}
    new = {partition for partitions in gets.values() for partition in partitions}
    after: list[Generation] = []
    before: dict[str, tuple[Partition, ...]] = {}
    for one in manifest.generations:
        had = one.partitions if one.state == "serving" else ()
        if lost := tuple(partition for partition in had if partition in new):
            before[one.name] = lost
        left = tuple(partition for partition in had if partition not in new)
        if one.name in gets:
            serves = (*left, *gets[one.name])
            at = dict(positions[one.name])
            after.append(replace(one, state="serving", partitions=serves, positions=at, replaced=None))
        elif left:
            after.append(replace(one, partitions=left))
        elif had:
            after.append(replace(one, state="kept", replaced=now))
        else:
            after.append(one)
    return Manifest(tuple(after), Swap(at=now, replaced=before) if before else None)


def settled(manifest: Manifest) -> Manifest:
    """The last swap is not taken back any more."""
    return replace(manifest, swap=None, goes_back=False)


def kept_s_left(manifest: Manifest, now: datetime) -> float | None:
    """How long the last swap can be taken back still; None: there is none."""
    swap = manifest.swap
    return None if swap is None else (swap.at + timedelta(seconds=KEPT_S_MAX) - now).total_seconds()


def unneeded(manifest: Manifest) -> Due:
    """What neither serves nor was replaced by the last swap."""
    needed = manifest.swap.replaced if manifest.swap is not None else {}
    return tuple(one for one in manifest.generations if one.state != "serving" and one.name not in needed)
