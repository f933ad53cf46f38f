"""Rules about the source code: which layer may import which, what an import may do, file sizes and docstrings."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike.domain import errors
from lookalike.http.routes import ROUTES, gateway_url_map, match_route

ROOT = Path(lookalike.__file__).parents[2]
PACKAGE = ROOT / "shared" / "lookalike"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
MAX_LINES = 400
ALLOWED_IMPORTS = {
    "domain": {"numpy", "PIL", "lookalike.domain"},
    "images.py": {"numpy", "PIL", "lookalike.domain"},
    "usecases": {"numpy", "PIL", "lookalike.domain", "lookalike.images", "lookalike.usecases"},
    "client": {"httpx", "pydantic", "lookalike.__version__", "lookalike.client"},
    "settings.py": {"pydantic", "pydantic_settings", "lookalike.domain"},
}
"""What a part may import besides the standard library."""
UPPER_LAYERS = ("lookalike.http", "lookalike.batch", "lookalike.cli", "lookalike.local")
SHARED_ADAPTER_MODULES = {
    f"lookalike.adapters.{name}" for name in ("onnx", "pytorch", "batching", "crops", "checked_http")
}
"""Modules that several adapters share; they are not adapters themselves."""
HEAVY_LIBRARIES = {"sklearn", "onnxruntime", "torch", "scipy", "faiss", "pymilvus"}


def modules(part: str) -> list[Path]:
    path = PACKAGE / part
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "lookalike":
                yield from (f"lookalike.{alias.name}" for alias in node.names)
            else:
                yield node.module


def imports_of(path: Path) -> set[str]:
    """All modules that a file imports, except those of the standard library."""
    names = imported_names(ast.parse(path.read_text()))
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def is_under(name: str, allowed: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)


@pytest.mark.parametrize("part", ALLOWED_IMPORTS)
def test_inner_layers_import_only_what_is_allowed(part: str) -> None:
    assert modules(part)
    for path in modules(part):
        forbidden = {name for name in imports_of(path) if not is_under(name, ALLOWED_IMPORTS[part])}
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


def test_adapters_import_only_the_domain_and_themselves() -> None:
    for path in modules("adapters"):
        folder = path.relative_to(PACKAGE / "adapters").parts[0].removesuffix(".py")
        allowed = {"lookalike.domain", f"lookalike.adapters.{folder}", *SHARED_ADAPTER_MODULES}
        own = {name for name in imports_of(path) if name.startswith("lookalike")}
        assert all(is_under(name, allowed) for name in own), f"{path.relative_to(ROOT)} imports {own}"


def test_bootstrap_imports_no_layer_above_it() -> None:
    for path in modules("bootstrap"):
        assert not [name for name in imports_of(path) if is_under(name, set(UPPER_LAYERS))], path


def test_http_imports_no_entry_point() -> None:
    for path in modules("http"):
        assert not [name for name in imports_of(path) if is_under(name, set(UPPER_LAYERS[1:]))], path


def test_http_and_use_cases_import_no_adapter() -> None:
    for path in [*modules("http"), *modules("usecases"), *ROOT.glob("functions/*/main.py")]:
        assert not any(name.startswith("lookalike.adapters") for name in imports_of(path)), path


@pytest.mark.parametrize("path", modules("bootstrap"), ids=lambda path: path.stem)
def test_bootstrap_imports_adapters_only_when_it_builds_them(path: Path) -> None:
    """`full_models` is itself imported only for MODELS=full, and `weights` needs nothing but the standard library."""
    # the body of `if TYPE_CHECKING:` is not imported at run time
    top_level = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {name for node in top_level for name in imported_names(node) if name.startswith("lookalike.adapters")}
    assert found <= ({"lookalike.adapters", "lookalike.adapters.weights"} if path.stem == "full_models" else set())


def test_functions_import_only_the_request_pipeline() -> None:
    for path in ROOT.glob("functions/*/main.py"):
        assert imports_of(path) <= {"flask", "functions_framework", "lookalike.http.pipeline"}, path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_importing_a_function_starts_no_thread_and_loads_no_heavy_library(function: str) -> None:
    """functions-framework imports the module and then forks: threads and sessions made at import do not survive it."""
    script = (
        "import sys, threading, runpy; runpy.run_path(sys.argv[1]);"
        "print(threading.active_count(), sorted({name.split('.')[0] for name in sys.modules}))"
    )
    source = str(ROOT / "functions" / function / "main.py")
    output = subprocess.run([sys.executable, "-c", script, source], capture_output=True, text=True, check=True).stdout
    threads, loaded = output.split(" ", 1)
    assert threads == "1"
    assert not HEAVY_LIBRARIES & set(ast.literal_eval(loaded))


def test_every_function_has_routes_and_every_route_a_function() -> None:
    assert {route.function for route in ROUTES} == set(FUNCTIONS)
    for route in ROUTES:
        path = route.path.replace("<id>", "some-id")
        assert match_route(gateway_url_map(), route.method, path)[0] == route.function


def test_error_codes_are_unique() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = [kind.code for kind in kinds if issubclass(kind, errors.LookalikeError)]
    assert len(codes) == len(set(codes)) > 10


def test_no_file_is_longer_than_the_limit() -> None:
    files = [path for folder in ("shared", "functions", "tests", "infra") for path in (ROOT / folder).rglob("*.py")]
    files += (PACKAGE / "web").rglob("*.js")
    too_long = {
        str(path.relative_to(ROOT)): count
        for path in files
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not too_long, f"Split these files (limit {MAX_LINES} lines): {too_long}"


def public_definitions(tree: ast.Module, path: Path) -> Iterator[tuple[str, ast.AST]]:
    yield f"{path}", tree
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        prefix, parent = pending.pop()
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if "overload" in {ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])}:
                continue
            name = f"{prefix}{node.name}"
            yield f"{path}:{node.lineno} {name}", node
            if isinstance(node, ast.ClassDef):
                pending.append((f"{name}.", node))


@pytest.mark.parametrize(
    "part", sorted(path.name for path in PACKAGE.iterdir() if list(path.rglob("*.py")) or path.suffix == ".py")
)
def test_every_public_name_has_a_docstring(part: str) -> None:
    missing = []
    for path in modules(part):
        source = path.read_text()
        if not source.strip():
            continue
        tree = ast.parse(source)
        definitions = public_definitions(tree, path.relative_to(ROOT))
        missing += [name for name, node in definitions if ast.get_docstring(node) is None]  # type: ignore[arg-type]
    assert not missing, "\n".join(missing)
