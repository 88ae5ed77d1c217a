"""Which module imports which, by grimp; cycles among them, and the layers that they form."""

import graphlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, folder_of, run
from actors.artemis.tools.source_tree import SourceFile

PLACES_MAX = 5
"""Folders with packages that are analysed, those with the most files first: in each, the packages know one another."""

_PROGRAM = str(Path(__file__).with_name("grimp_program.py"))
Graph = dict[str, list[str]]


class Imports(Struct, frozen=True, kw_only=True):
    """What was found in the packages of one folder.

    `cycles` are groups of modules each of which can be reached from each other one, largest first. `layers` stand from what
    nothing else imports down to what imports nothing, each a group of packages (or, where there is one package, of its parts);
    those that import one another in a circle are one name joined by ` + `.
    """

    folder: str
    packages: tuple[str, ...]
    graph: Graph
    cycles: tuple[tuple[str, ...], ...]
    layers: tuple[tuple[str, ...], ...]

    @property
    def count(self) -> int:
        return sum(len(targets) for targets in self.graph.values())


def packages(files: Sequence[SourceFile]) -> list[tuple[str, dict[str, list[SourceFile]]]]:
    """Top-level packages with their files, by the folder they stand in, the folder with the most files first."""
    folders = {str(PurePosixPath(file.path).parent) for file in files if file.path.endswith("__init__.py")}
    found: dict[str, dict[str, list[SourceFile]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        inside = [one for one in PurePosixPath(file.path).parents if str(one) in folders and str(one) != "."]
        if not inside or not _unbroken(file.path, inside):
            continue
        top = inside[-1]
        if top.name.isidentifier():
            found[str(top.parent)][top.name].append(file)
    sizes = {folder: sum(map(len, inner.values())) for folder, inner in found.items()}
    return sorted(found.items(), key=lambda one: (-sizes[one[0]], one[0]))


def _unbroken(path: str, inside: Sequence[PurePosixPath]) -> bool:
    """Whether every folder from the file up to the top-level package is a package."""
    return len(inside) == len(PurePosixPath(path).relative_to(inside[-1].parent).parts) - 1


def imports(files: Sequence[SourceFile], deadline: Deadline) -> list[Imports]:
    """Of all packages of the tree, by the folders they stand in. Raises ProgramError."""
    return [
        _imports(folder, inner, deadline)
        for folder, inner in packages([file for file in files if file.path.endswith(".py")])[:PLACES_MAX]
    ]


def _imports(folder: str, inner: Mapping[str, Sequence[SourceFile]], deadline: Deadline) -> Imports:
    here = [
        msgspec.structs.replace(file, path=str(PurePosixPath(file.path).relative_to(folder)))
        for found in inner.values()
        for file in found
    ]
    names = sorted(inner)
    with folder_of(here) as root:
        printed = run([_PROGRAM, *names], root, deadline.left())
    graph = msgspec.json.decode(printed, type=Graph)
    return Imports(
        folder=folder, packages=tuple(names), graph=graph, cycles=cycles(graph), layers=layers(units(graph, names))
    )


def units(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph of the packages, or of one package's parts (its own `__init__` is one of them)."""
    depth = 1 if len(names) > 1 else 2
    joined: dict[str, set[str]] = defaultdict(set)
    for module, targets in graph.items():
        unit = ".".join(module.split(".")[:depth])
        joined[unit].update(".".join(target.split(".")[:depth]) for target in targets)
    return {unit: sorted(targets - {unit}) for unit, targets in joined.items()}


def components(graph: Graph) -> list[tuple[str, ...]]:
    """The strongly connected components, by SciPy."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    names = sorted({*graph, *(target for targets in graph.values() for target in targets)})
    if not names:
        return []
    number = {name: at for at, name in enumerate(names)}
    edges = [(number[name], number[target]) for name, targets in graph.items() for target in targets]
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    matrix = csr_array(([1] * len(edges), (rows, columns)), shape=(len(names), len(names)))
    _, labels = connected_components(matrix, directed=True, connection="strong")
    groups: dict[int, list[str]] = defaultdict(list)
    for name, label in zip(names, labels, strict=True):
        groups[int(label)].append(name)
    return [tuple(group) for group in groups.values()]


def cycles(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The groups of modules that import one another in a circle, largest first."""
    return tuple(sorted((one for one in components(graph) if len(one) > 1), key=lambda group: (-len(group), group)))


def layers(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """From the top down; a unit is above all that it imports."""
    group_of = {name: " + ".join(group) for group in components(graph) for name in group}
    below: dict[str, set[str]] = {group: set() for group in group_of.values()}
    for name, targets in graph.items():
        below[group_of[name]].update(group_of[target] for target in targets if group_of[target] != group_of[name])
    order = graphlib.TopologicalSorter(below)
    order.prepare()
    found: list[tuple[str, ...]] = []
    while order.is_active():
        ready = order.get_ready()
        found.append(tuple(sorted(ready)))
        order.done(*ready)
    return tuple(reversed(found))


def importers(found: Iterable[Imports], paths: Iterable[str]) -> dict[str, int]:
    """How many modules import the file, by its path; only those that some module imports."""
    known = set(paths)
    counts: dict[str, int] = defaultdict(int)
    for one in found:
        start = "" if one.folder == "." else f"{one.folder}/"
        for targets in one.graph.values():
            for target in targets:
                path = start + target.replace(".", "/")
                counts[f"{path}.py" if f"{path}.py" in known else f"{path}/__init__.py"] += 1
    return dict(counts)
