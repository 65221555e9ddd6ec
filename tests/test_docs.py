"""The documents say what the code does."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spinemri.cli import app
from spinemri.export.dicom.codes import PRIVATE_CODES
from spinemri.measure.record import Measurements

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NOT_CODES = {
    *("FLUID_ATTENUATED", "MULTI_PLAN", "PROTON_DENSITY", "SPINEMRI_PHANTOM", "T2_STAR"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
}
"""Values of DICOM and variables of libraries that look like codes of ours."""

SHORT_CODES = {"DERIVED", "DICOMDIR", "LOCALIZER", "SUBTRACTION"}
"""Codes of one word that come from tables."""

CARRIERS = {"Flag", "InputError", "UsageError", "InternalError", "Rejected", "with_role"}
"""What is called with a code; there, codes of one word are found, too."""


def _codes(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in CARRIERS]
    if path.parent.name == "dicom" and path.parent.parent.name == "export":
        # There, capitals are mostly values and codes of DICOM.
        return {value for call in calls for _, value in _strings(call) if CODE.fullmatch(value)}
    exported = {
        id(constant)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets)
        for constant in ast.walk(node.value)
    }
    long = {value for node, value in _strings(tree) if CODE.fullmatch(value) and id(node) not in exported}
    short = {value for call in calls for _, value in _strings(call) if re.fullmatch(r"[A-Z]{4,}", value)}
    return long | short


def _strings(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [(node, node.value) for node in constants if isinstance(node.value, str)]


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def codes_in_the_code() -> set[str]:
    folders = (path for path in (ROOT / "spinemri").rglob("*.py") if "training" not in path.parts)
    return set().union(*(_codes(path) for path in folders), SHORT_CODES) - NOT_CODES


def _table_keys(text: str) -> set[str]:
    """First cells in backquotes of all tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE))


def _guide() -> str:
    return (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")


def test_every_code_is_explained_and_no_other() -> None:
    documented = {key for key in _table_keys(_guide()) if key.isupper()}
    assert documented == codes_in_the_code()


@pytest.mark.parametrize("command", ["inspect", "run", "compare", "measure", "phantom", "send", "batch"])
def test_every_option_of_every_command_is_in_the_guide(command: str) -> None:
    # Wide, so that no option is broken over two lines.
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [command, "--help"]).stdout
    options = set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}
    section = _guide().split(f"### spinemri {command}")[1].split("\n##")[0] + _guide().split("### Options of all")[1]
    assert {option for option in options if f"`{option}" not in section} == set()


def test_every_private_code_of_dicom_is_listed_and_no_other() -> None:
    text = (ROOT / "docs" / "dicom.md").read_text(encoding="utf-8").split("## Private codes")[1]
    assert dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, flags=re.MULTILINE)) == PRIVATE_CODES


def test_every_field_of_the_measurements_is_in_the_guide() -> None:
    fields = {name for name in Measurements.model_fields if name != "schema_version"}
    assert {field for field in fields if f"`{field}" not in _guide()} == set()


def test_every_dependency_has_its_reason_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for group in project["optional-dependencies"].values() for name in group),
    ]
    names = {re.split(r"[><=\[]", name)[0].lower() for name in wanted}
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").split("## Tools that")[0]
    listed = set(re.findall(r"^\| ([a-z0-9-]+) \|", text, flags=re.MULTILINE)) - {"library", "what"}  # heads of tables
    assert listed == names


def test_the_readme_has_two_lines_to_run() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert all(block.count("\n") == 1 for block in blocks)
    assert blocks[0].startswith("pip install . && spinemri compare sample_data/")
    assert blocks[1] == 'pip install ".[dev]" && pytest\n'


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []
