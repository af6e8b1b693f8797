"""No line of code but two touches rows of the audit log: read off the sources, beside what the triggers refuse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.audit import COLUMNS, Door, Entry
from bot.errors import StorageError
from storage import forget, retention
from storage.audit import AuditLog
from storage.database import Database

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for folder in ("bot", "commands", "storage") for path in (ROOT / folder).rglob("*.py"))
HOLE = "{}"
CHANGES = re.compile(
    r"\b(?:UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM|(?:INSERT|REPLACE)(?:\s+OR\s+\w+)?\s+INTO|ALTER\s+TABLE"
    r"|DROP\s+(?:TABLE|TRIGGER)(?:\s+IF\s+EXISTS)?)\s+[\"'`\[]?(?P<what>\w+|\{\})",
    re.IGNORECASE,
)
OF_THE_SCHEMA = re.compile(r"CREATE (TABLE|TRIGGER|INDEX)")
# Statements for whatever table: where they are, and what they are held to below.
ANY_TABLE = {
    ("storage/forget.py", "_make_nameless"),
    ("storage/forget.py", "_rewrite"),
    ("storage/retention.py", "_delete"),
    ("storage/retention.py", "_window"),
}


def _texts(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, str]]:
    """(function, text) of every string; what an f-string fills in is a hole."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _texts(node, node.name)
        elif isinstance(node, ast.JoinedStr):
            parts = (each.value if isinstance(each, ast.Constant) else HOLE for each in node.values)
            yield inside, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield inside, node.value
        else:
            yield from _texts(node, inside)


def _changing() -> Iterator[tuple[str, str, str]]:
    """(file, function, table) of every statement that changes one."""
    for path in SOURCES:
        for inside, text in _texts(ast.parse(path.read_text("utf-8"))):
            if not OF_THE_SCHEMA.match(text):
                for found in CHANGES.finditer(text):
                    yield path.relative_to(ROOT).as_posix(), inside, found["what"].lower()


def test_statements_are_seen_for_what_they_are() -> None:
    source = '''
def work(db, table):
    db.execute("UPDATE OR IGNORE audit SET at=0")
    db.execute(f"""DELETE
        FROM {table} WHERE id=?""")
    db.execute("replace into 'audit' VALUES (1)")
'''
    found = [CHANGES.search(text) for _, text in _texts(ast.parse(source))]
    assert [each["what"] for each in found if each] == ["audit", HOLE, "audit"]


def test_rows_are_added_in_one_place_and_let_go_in_one() -> None:
    touching = [(file, inside) for file, inside, table in _changing() if table == "audit"]
    assert touching == [("storage/audit.py", ""), ("storage/audit.py", "_delete")]


def test_every_statement_for_whatever_table_is_known() -> None:
    assert {(file, inside) for file, inside, table in _changing() if table == HOLE} == ANY_TABLE


def test_the_retention_sweeps_other_tables() -> None:
    swept = {sweep.table for sweep in retention.SWEEPS} | {*retention.OF_A_HANDOFF, "handoffs"}
    assert "audit" not in swept


async def test_to_forget_somebody_rewrites_other_tables(database: Database) -> None:
    tables = await database.read(forget._tables)
    assert "audit" not in tables and {"items", "handoffs", "commands"} <= set(tables)


@pytest.mark.parametrize("column", COLUMNS)
async def test_no_column_of_a_row_can_be_set(database: Database, column: str) -> None:
    await AuditLog(database).enter(Entry(1.0, Door.CLI, None, "end", "allowed"))
    with pytest.raises(StorageError, match="append-only"):
        await database.write(lambda db: db.execute(f"UPDATE audit SET {column} = {column}"))  # not even to what it is
