"""The shape of the package: who imports whom, and what stands nowhere in it."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import linnet

ROOT = Path(linnet.__file__).parent

# The rooms, from the ground up: a module imports only from its own room and from those above it in
# this list. The package's docstring has the list, docs/architecture.md and README show it.
ROOMS = str(linnet.__doc__).split("this list: ")[1].rstrip(".\n").replace("\n", " ").split(", ")
ANYWHERE = {"", "__main__"}  # the package itself holds the version and lazy names
DOORS = {"compat"}  # a name that people type, and nothing behind it


@cache
def modules() -> list[tuple[str, ast.Module]]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found.append((name, ast.parse(path.read_text())))
    return found


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(tree: ast.AST) -> set[str]:
    names = {name for name, _ in modules()}
    found = (name.removeprefix("linnet.") for name in imports(tree) if name.startswith("linnet."))
    return {name for name in found if name in names}


def room(name: str) -> str:
    return name.split(".")[0]


def test_the_rooms_are_those_of_the_pages() -> None:
    for page in ("README.md", "docs/architecture.md"):
        text = (ROOT.parents[1] / page).read_text("utf-8")
        tree = text.split("src/linnet/\n")[1].split("```")[0]
        named = [line.split()[0].rstrip("/").removesuffix(".py") for line in tree.splitlines()]
        assert named == ROOMS, page


def test_every_module_is_in_a_room() -> None:
    assert {room(name) for name, _ in modules()} - ANYWHERE - DOORS == set(ROOMS)


def test_no_module_imports_from_a_room_that_stands_on_its_own() -> None:
    wrong = [
        (name, other)
        for name, tree in modules()
        if name not in ANYWHERE and room(name) not in DOORS
        for other in inside(tree)
        if room(other) in DOORS or ROOMS.index(room(other)) > ROOMS.index(room(name))
    ]
    assert wrong == []


def test_no_cycle() -> None:
    graph = {name: inside(tree) - {name} for name, tree in modules() if name not in ANYWHERE}
    TopologicalSorter(graph).prepare()


def test_distribution_lives_in_parallel_alone() -> None:
    users = {
        name
        for name, tree in modules()
        if any(i.startswith("torch.distributed") for i in imports(tree))
    }
    assert users == {"core.parallel"}


def test_the_network_is_used_by_fetch_and_the_servers_alone() -> None:
    clients = ("urllib", "http", "socket", "ssl", "ftplib", "requests", "httpx")
    users = {
        name for name, tree in modules() if any(i.split(".")[0] in clients for i in imports(tree))
    }
    servers = ("show.view.", "serve.")
    assert {name for name in users if not name.startswith(servers)} == {"data.fetch"}


def test_nothing_that_could_run_code_from_a_file() -> None:
    for name, tree in modules():
        banned = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
        assert not banned & {i.split(".")[0] for i in imports(tree)}, name
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("torch", "load"), name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, name
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, name


def test_files_are_written_in_files_alone() -> None:
    """Only ``files`` opens to write or renames; ``fetch`` streams what is too large for memory, and
    ``zipped`` unpacks into a temporary folder."""
    writers = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if called in {"write_text", "write_bytes", "replace", "rename"} and (
                isinstance(node.func, ast.Attribute)
                and (called.startswith("write_") or ast.unparse(node.func.value) == "os")
            ):
                writers.add(name)
            if isinstance(node.func, ast.Name) and node.func.id == "open" and len(node.args) > 1:
                mode = node.args[1]
                if isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+"):
                    writers.add(name)
    assert writers <= {"core.files", "data.fetch", "data.zipped"}


def test_tables_list_what_exists() -> None:
    from linnet.core.registry import lookup
    from linnet.data import SOURCES
    from linnet.line import SOLVERS
    from linnet.net import OPTIMIZERS, SCHEDULES
    from linnet.networks import NETWORKS
    from linnet.objectives import OBJECTIVES

    for table in (SOURCES, NETWORKS, OBJECTIVES, SOLVERS, OPTIMIZERS, SCHEDULES):
        for name in table:
            assert callable(lookup(table, name, "part"))
