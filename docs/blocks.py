"""Runs the code blocks of the documentation, and writes what they print and draw into the pages.

    make tables

A page is one session: its blocks run in order and share their names and their folder. Blocks of
Python run, and so do blocks of the shell, whose lines call ``kconvert``. A page may begin with the
names that another page ends with::

    <!-- starts from: tutorial/first-conversion.md -->

What stands above a block says more about it:

``<!-- not run: reason -->``
    The block is shown only. It is counted.
``<!-- warns: text -->``
    The block warns, and the warning has this text. Any other warning is an error.
``<!-- may warn: text -->``
    On some machines the block warns with this text.

What stands below a block is made by it: a ``text`` block below ``<!-- output -->`` is what it
prints, and an image is the figure that it draws. ``<!-- output, varies -->`` is for words that
depend on the machine, such as the best of some candidates: training rounds differently there.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import re
import shlex
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"

_FENCE = re.compile(
    r"(?P<above>(?:^[ ]*<!--[^\n]*-->\n)*)"
    r"^(?P<indent>[ ]*)```(?P<language>python|sh|pycon)\n(?P<code>.*?)^[ ]*```\n"
    r"(?P<output>\n?<!-- output(?P<varies>, varies)? -->\n```text\n(?P<printed>.*?)```\n)?"
    r"(?:\n?!\[[^\]]*\]\((?P<figure>[^)]+)\)\n)?",
    re.DOTALL | re.MULTILINE,
)
_MARK = re.compile(r"<!-- (not run|warns|may warn): (.*?) -->")
_START = re.compile(r"<!-- starts from: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Args:
        page: The page.
        line: Number of its first line, for messages.
        language: "python" or "sh".
        code: What it says.
        not_run: Why it does not run; empty if it does.
        warns: A part of the warning that it gives; empty if it gives none.
        may_warn: A part of a warning that it gives on some machines.
        printed: What the page says that it prints; None if the page does not say.
        varies: Whether its words may be others on another machine.
        printed_at: Where on the page that is.
        figure: The file of the figure that it draws, or None.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str
    warns: str
    may_warn: str
    printed: str | None
    varies: bool
    printed_at: tuple[int, int]
    figure: Path | None

    @property
    def runs(self) -> bool:
        return not self.not_run and self.language != "pycon"

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(DOCS.parent)}:{self.line}"


def pages() -> list[Path]:
    """The README and every page of the documentation, without what builds leave behind."""
    found = (page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
    return [README, *sorted(found)]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        marks = dict(_MARK.findall(match["above"]))
        figure = match["figure"]
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start("code")),
                match["language"],
                textwrap.dedent(match["code"]),
                marks.get("not run", ""),
                marks.get("warns", ""),
                marks.get("may warn", ""),
                match["printed"],
                match["varies"] is not None,
                match.span("printed"),
                None if figure is None else (page.parent / figure).resolve(),
            )
        )
    return found


class Session:
    """Runs pages. What a page that others start from ends with is kept."""

    def __init__(self) -> None:
        self._ends: dict[Path, dict[str, Any]] = {}

    def run(self, page: Path) -> list[tuple[Block, str]]:
        """Run a page; what each block printed."""
        return list(self._run(page, self._start_of(page)))

    def names_after(self, page: Path) -> dict[str, Any]:
        """The names that a page ends with. Models are copied: a page may train its own further."""
        if page not in self._ends:
            names = self._start_of(page)
            for _ in self._run(page, names):
                pass
            self._ends[page] = names
        return {
            name: copy.deepcopy(value) if type(value).__module__.startswith("keras") else value
            for name, value in self._ends[page].items()
        }

    def _start_of(self, page: Path) -> dict[str, Any]:
        found = _START.search(page.read_text())
        return {"__name__": "page"} if found is None else self.names_after(DOCS / found[1])

    def _run(self, page: Path, names: dict[str, Any]) -> Iterator[tuple[Block, str]]:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        plt.close("all")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for block in blocks(page):
                if not block.runs:
                    continue
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    if block.language == "sh":
                        _in_shell(block, printed)
                    else:
                        # Line numbers in a traceback are those of the page.
                        code = compile("\n" * block.line + block.code, str(page), "exec")
                        with _warnings_of(block):
                            exec(code, names)
                # Whether the event simulator compiles itself depends on the machine.
                lines = (
                    line.rstrip()
                    for line in printed.getvalue().splitlines()
                    if not line.startswith("kconvert: compil")
                )
                yield block, "\n".join(lines) + "\n"
                plt.close("all")


def _in_shell(block: Block, printed: io.StringIO) -> None:
    """Run the lines of a block with the command line, in this process, and see what a user sees."""
    from kconvert import cli

    for line in block.code.splitlines():
        program, *words = shlex.split(line, comments=True)
        if program != "kconvert":
            raise AssertionError(f"{block.name}: only lines of kconvert run here: {line}")
        with contextlib.redirect_stderr(printed):
            code = cli.run(words)
        if code != cli.OK:
            raise AssertionError(f"{block.name}: {line!r} ended with {code}: {printed.getvalue()}")


@contextlib.contextmanager
def _warnings_of(block: Block) -> Iterator[None]:
    """Let the warning pass that the page tells of, and refuse others."""
    with warnings.catch_warnings(record=bool(block.warns)) as found:
        if block.warns:
            warnings.simplefilter("always")
        elif block.may_warn:
            warnings.filterwarnings("ignore", f".*{re.escape(block.may_warn)}")
        yield
    texts = [str(each.message) for each in found or ()]
    if block.warns and not any(block.warns in text for text in texts):
        raise AssertionError(f"{block.name}: no warning has {block.warns!r}: {texts}")


def written() -> None:
    """Write what blocks print, and draw their figures."""
    session = Session()
    warnings.simplefilter("ignore")
    for page in pages():
        text, moved = page.read_text(), 0
        for block, printed in _with_figures(session, page):
            if block.printed is not None:
                first, last = (place + moved for place in block.printed_at)
                text = text[:first] + printed + text[last:]
                moved += len(printed) - (last - first)
        if text != page.read_text():
            page.write_text(text)


def _with_figures(session: Session, page: Path) -> Iterator[tuple[Block, str]]:
    import matplotlib.pyplot as plt

    for block, printed in session._run(page, session._start_of(page)):
        if block.figure is not None:
            plt.savefig(block.figure, dpi=110, bbox_inches="tight")
        yield block, printed


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    written()
