"""The rules of the house: who may know whom, what happens at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike.domain import errors
from lookalike.http.routes import ROUTES, functions, match

ROOT = Path(lookalike.__file__).parents[2]
PACKAGE = ROOT / "shared" / "lookalike"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
STANDARD = sys.stdlib_module_names
MAY_KNOW = {
    "domain": {"numpy", "PIL", "lookalike.domain"},
    "images.py": {"numpy", "PIL", "lookalike.domain"},
    "usecases": {"numpy", "PIL", "lookalike.domain", "lookalike.images", "lookalike.usecases"},
    "settings.py": {"pydantic", "pydantic_settings", "lookalike.domain"},
}
HEAVY = {"sklearn", "onnxruntime", "torch", "scipy", "faiss", "pymilvus"}


def modules(part: str) -> list[Path]:
    path = PACKAGE / part
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "lookalike":
                yield from (f"lookalike.{alias.name}" for alias in node.names)
            else:
                yield node.module


def imports_of(path: Path) -> set[str]:
    return {name for name in imports(ast.parse(path.read_text())) if name.split(".")[0] not in STANDARD}


def is_under(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("part", MAY_KNOW)
def test_the_inner_rooms_know_only_what_they_may(part: str) -> None:
    assert modules(part)
    for path in modules(part):
        strangers = {name for name in imports_of(path) if not is_under(name, MAY_KNOW[part])}
        assert not strangers, f"{path.relative_to(ROOT)} knows {strangers}"


def test_adapters_know_the_domain_and_themselves() -> None:
    """`onnx`, `pytorch`, `batching` and `crops` are no adapters but what several models share."""
    for path in modules("adapters"):
        folder = path.relative_to(PACKAGE / "adapters").parts[0].removesuffix(".py")
        shared = {f"lookalike.adapters.{one}" for one in ("onnx", "pytorch", "batching", "crops")}
        allowed = {"lookalike.domain", f"lookalike.adapters.{folder}", *shared}
        ours = {name for name in imports_of(path) if name.startswith("lookalike")}
        assert all(is_under(name, allowed) for name in ours), f"{path.relative_to(ROOT)} knows {ours}"


def test_adapters_are_chosen_in_one_place_and_imported_when_chosen() -> None:
    for path in [*modules("http"), *modules("usecases"), *ROOT.glob("functions/*/main.py")]:
        assert not any(name.startswith("lookalike.adapters") for name in imports_of(path)), path
    top = ast.parse((PACKAGE / "bootstrap.py").read_text()).body
    # what stands under TYPE_CHECKING is not imported when run
    outside = [node for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {name for node in outside for name in imports(node)}
    assert not any(name.startswith("lookalike.adapters") for name in found)


def test_functions_know_the_door_alone() -> None:
    for path in ROOT.glob("functions/*/main.py"):
        assert imports_of(path) <= {"flask", "functions_framework", "lookalike.http.pipeline"}, path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_importing_a_function_starts_and_loads_nothing(function: str) -> None:
    """functions-framework imports the module and then forks: threads and sessions made here would be dead."""
    script = (
        "import sys, threading, runpy; runpy.run_path(sys.argv[1]);"
        "print(threading.active_count(), sorted({name.split('.')[0] for name in sys.modules}))"
    )
    source = str(ROOT / "functions" / function / "main.py")
    told = subprocess.run([sys.executable, "-c", script, source], capture_output=True, text=True, check=True).stdout
    threads, loaded = told.split(" ", 1)
    assert threads == "1"
    assert not HEAVY & set(ast.literal_eval(loaded))


def test_every_function_has_routes_and_every_route_a_function() -> None:
    assert {route.function for route in ROUTES} == set(FUNCTIONS)
    for route in ROUTES:
        path = route.path.replace("<id>", "some-id")
        assert match(functions(), route.method, path)[0] == route.function


def test_codes_of_errors_are_their_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = [kind.code for kind in kinds if issubclass(kind, errors.LookalikeError)]
    assert len(codes) == len(set(codes)) > 10
