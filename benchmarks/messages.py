"""How many texts of errors in kconvert are matched by a test.

    make bench BENCH=messages    # ARGS: [--list]

A text counts as matched where a string of the tests has a piece of 8 characters or more in it, or
holds one of its own pieces of 12 characters or more. So the count is from the source; what a test
does with the text is not looked at.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from report import markdown_table

ROOT = Path(__file__).parent.parent
LEAST, LONG = 8, 12


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each error that is made in a file; values are replaced by a NUL."""
    for node in ast.walk(ast.parse(path.read_text())):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if isinstance(node, ast.Call) and node.args and re.search(r"Error$|^Unsupported$", name):
            found = _text(node.args[0])
            if len(found.replace("\0", "")) >= LEAST:
                yield node.lineno, found


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "\0" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + "\0" + _text(node.right)
    return ""


def pieces() -> set[str]:
    """What the strings of the tests have between the marks of regular expressions."""
    found = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = re.split(r"\.[*+]|\\.|[|^$\[\](){}?*+'\"]", node.value)
                found |= {part.strip() for part in parts if len(part.strip()) >= LEAST}
    return found


def main(every: bool) -> None:
    known = pieces()
    rows, total = [], Counter[bool]()
    for path in sorted((ROOT / "kconvert").rglob("*.py")):
        counts = Counter[bool]()
        for line, text in texts(path):
            parts = [part for part in text.split("\0") if len(part) >= LONG]
            matched = any(piece in text or any(p in piece for p in parts) for piece in known)
            counts[matched] += 1
            if every and not matched:
                print(f"{path.relative_to(ROOT)}:{line}: {text[:100]!r}")
        total += counts
        if counts:
            name = str(path.relative_to(ROOT / "kconvert"))
            rows.append({"file": name, "texts": counts.total(), "matched": counts[True]})
    rows.append({"file": "all", "texts": total.total(), "matched": total[True]})
    print(markdown_table(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="print the texts without a test")
    parser.add_argument("--quick", action="store_true", help="the same: it takes a second")
    main(parser.parse_args().list)
