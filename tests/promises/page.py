"""Writes the tables of docs/promises.md: ``python -m tests.promises.page JUNIT_XML``, after the tests that it names."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from cancel_message_batch.sandbox import FAULTS

from .operations import COLUMNS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/promises.md"
NOTES = {
    ("trickling body", "results"): "¹",
    ("retry-after in seconds", "MCP"): "²",
    ("retry-after as a date", "MCP"): "²",
}


def named_tests(text: str) -> list[str]:
    """Return the tests that a text of the page names."""
    return re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", text)


def write_part(name: str, text: str) -> None:
    """Replace what the page has between the marks of this name."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(start)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{start}\n{text.strip()}\n\n{end}{after}", encoding="utf-8")


def table(cells: dict[tuple[str, str], str]) -> str:
    """Return the matrix; a cell that has no outcome did not pass."""
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    for fault in FAULTS:
        outcomes = [f"{cells.get((fault, one), '**fails**')}{NOTES.get((fault, one), '')}" for one in COLUMNS]
        rows.append([fault, *outcomes])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def read_table(page: str) -> dict[tuple[str, str], str]:
    """Return what the page says in each cell of the matrix."""
    cells: dict[tuple[str, str], str] = {}
    for line in page.partition("<!-- matrix -->")[2].splitlines():
        fault, *said = (part.strip() for part in line.strip("|").split("|"))
        if fault in FAULTS:
            cells |= {(fault, column): one.rstrip("¹²") for column, one in zip(COLUMNS, said, strict=True)}
    return cells


def read_run(path: str) -> tuple[dict[tuple[str, str], str], set[str]]:
    """Return the cells of a test run, and the names of the tests that passed in it with all their parameters."""
    cells: dict[tuple[str, str], str] = {}
    passed: set[str] = set()
    failed: set[str] = set()
    for case in ET.parse(path).iter("testcase"):
        name = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name'].partition('[')[0]}"
        if any(child.tag in {"failure", "error"} for child in case):
            failed.add(name)
        if any(child.tag in {"failure", "error", "skipped"} for child in case):
            continue
        passed.add(name)
        for made in case.iter("property"):
            fault, column, said = made.attrib["value"].split("|")
            cells[fault, column] = said
    return cells, passed - failed


if __name__ == "__main__":
    outcomes, ran = read_run(sys.argv[1])
    before = read_table(PAGE.read_text(encoding="utf-8"))
    write_part("matrix", table(outcomes))
    for (fault, column), was in before.items():
        if outcomes.get((fault, column)) != was:
            print(f"{fault}, {column}: {was} became {outcomes.get((fault, column))}")
    if empty := [cell for cell in before if cell not in outcomes]:
        sys.exit(f"these cells did not pass: {empty}")
    missing = [name for name in named_tests(PAGE.read_text(encoding="utf-8")) if name not in ran]
    sys.exit(f"these did not pass: {', '.join(missing)}" if missing else 0)
