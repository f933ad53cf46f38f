"""The reference tables of the documentation name what the code has: settings, routes, roles, error codes, commands, paths."""

import re

import click

from lookalike.cli import main
from lookalike.domain import errors
from lookalike.domain.errors import LookalikeError
from lookalike.domain.stage_times import Stage
from lookalike.http.routes import ROUTES, Role
from lookalike.settings import Settings
from tests.docs.markdown import ROOT, pages, prose, table

DOCS = ROOT / "docs"
ROLES = {
    Role.OPEN: "open",
    Role.ANYONE: "anyone",
    Role.OWNER: "owner",
    Role.USER: "user",
    Role.ADMIN: "admin",
    Role.PLATFORM: "platform",
}
PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|toml|yaml|yml|sh|json|js|html|css)|(?:[\w.-]+/)+)`")
MIN_QUESTIONS = 10


def code(cell: str) -> str:
    """The text of a cell that is inline code."""
    assert cell.startswith("`") and cell.endswith("`"), cell
    return cell.strip("`")


def test_configuration_names_every_setting_once() -> None:
    named = [code(row[0]) for row in table(DOCS / "configuration.md", "Setting")]
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_configuration_states_the_default_of_every_setting() -> None:
    """Where the code has no value, the documentation may tell what stands in for it."""
    stated = {code(row[0]).lower(): row[1] for row in table(DOCS / "configuration.md", "Setting")}
    for name, field in Settings.model_fields.items():
        default = getattr(field.default, "get_secret_value", lambda value=field.default: value)()
        if default != "":
            expected = str(default).lower() if isinstance(default, bool) else str(default)
            assert stated[name] == f"`{expected}`", name


def test_api_guide_lists_every_route_with_its_role() -> None:
    listed = {code(row[0]): row[1] for row in table(DOCS / "api.md", "Route")}
    assert listed == {f"{route.method} {route.path}": ROLES[route.role] for route in ROUTES}


def test_api_guide_lists_every_error_code_with_its_status() -> None:
    listed = {code(row[0]): int(row[1]) for row in table(DOCS / "api.md", "Code")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LookalikeError)]
    assert listed == {kind.code: kind.status for kind in kinds}


def test_command_table_lists_every_command() -> None:
    documented = [code(row[0]) for row in table(DOCS / "command-line.md", "Command")]
    names = {f"lookalike {name}" for name in command_names(main)}
    assert {name for name in names if any(f"{row} ".startswith(f"{name} ") for row in documented)} == names
    assert [row for row in documented if not any(f"{row} ".startswith(f"{name} ") for name in names)] == []


def command_names(group: click.Group, prefix: str = "") -> set[str]:
    names = set()
    for name, command in group.commands.items():
        full = f"{prefix}{name}"
        names |= command_names(command, f"{full} ") if isinstance(command, click.Group) else {full}
    return names


def test_paths_in_the_documentation_exist() -> None:
    """Paths that start with a folder of the project. Names of modules and of local data are not checked."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {"site"}
    for page in pages():
        for path in PATH.findall("\n".join(prose(page))):
            if path.split("/")[0] in folders and "*" not in path:
                assert (ROOT / path).exists(), f"{page.name} names {path}, which does not exist"


def test_ten_questions_are_answered_with_paths_that_exist() -> None:
    rows = table(DOCS / "architecture.md", "Question")
    assert len(rows) >= MIN_QUESTIONS
    for question, answer in rows:
        paths = re.findall(r"`([^`]+)`", answer)
        assert paths, question
        for path in paths:
            assert (ROOT / path).exists(), f"{question} {path} does not exist"


def test_example_of_an_embedder_has_the_members_of_the_port() -> None:
    """The example of an embedder on the page about models has the members of the port."""
    from lookalike.domain.ports import Embedder

    example = (DOCS / "models.md").read_text()
    members = {name for name in vars(Embedder) if not name.startswith("_")}
    assert members == {"name", "dim", "embed"}
    assert all(re.search(rf"\b{name}\b", example) for name in members)


def test_operations_page_lists_every_stage_in_the_order_of_the_header() -> None:
    assert [code(row[0]) for row in table(DOCS / "operations.md", "Stage")] == list(Stage)


def test_operations_page_lists_every_metric() -> None:
    folder = ROOT / "shared" / "lookalike"
    source = "".join((folder / name).read_text() for name in ("adapters/telemetry.py", "bootstrap/services.py"))
    created = re.findall(r'(?:create_histogram|Gauge)\(\s*"([\w.]+)"', source)
    assert sorted(created) == sorted(code(row[0]) for row in table(DOCS / "operations.md", "Metric"))


def test_log_messages_of_the_operations_page_exist_in_the_code() -> None:
    source = "".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    for row in table(DOCS / "operations.md", "Symptom"):
        for quoted in re.findall(r"`([A-Z][^`]+)`", row[0]):
            for part in quoted.split("…"):
                assert part.strip() in source, quoted


def test_readme_states_the_benchmark_figures_of_the_documentation() -> None:
    rows = table(DOCS / "benchmarks.md", "milliseconds")
    measured = {row[0]: row[1:3] for row in rows if not row[0].endswith("without the models")}
    stated = [row for row in table(ROOT / "README.md", "") if row[0] in measured]
    assert len(stated) == len(measured)
    for what, *values in stated:
        assert [value.removesuffix(" ms") for value in values] == measured[what], what


def test_documentation_does_not_name_machines_or_private_paths() -> None:
    for page in pages():
        assert not re.search(r"(?<![\w.])/(home|tmp|root|Users)/\w", page.read_text()), page.name
