"""How much memory is free; work that would need more is refused.

No package that kconvert needs knows all of the limits. psutil reads the machine's memory, but
neither what a container's control group leaves nor what the limits of the process leave.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def require_memory(
    what: str, needs: float, argument: str, value: int, advice: str = "", *, besides: float = 0.0
) -> None:
    """Refuse what cannot be allocated, before anything is run.

    Args:
        what: What would be held.
        needs: Its bytes; they grow in proportion to ``value``.
        argument: The setting that it grows with.
        value: The setting's value.
        advice: What else helps.
        besides: Bytes that are needed whatever the setting is.

    Raises:
        InputError: It needs more memory than is free. The message has a value that would fit.
    """
    free = free_memory()
    if free is None or needs + besides <= free:
        return
    fits = int(max(0.0, free - besides) * value // needs) if needs else 0
    limit = f"{argument} <= {fits:,} fits" if fits else f"not even {argument}=1 fits"
    raise InputError(
        f"{argument}={value:,} is too much: {what} need {size_of(needs + besides)}, and "
        f"{size_of(free)} of memory are free. {limit}{'; ' if advice else ''}{advice}"
    )


def free_memory() -> int | None:
    """Bytes that this process may still allocate; None where the system does not say.

    The least of what the machine has, of what the control groups of a container or a batch job
    allow, and of the limits of the process (``ulimit -v``).
    """
    return min((*_machine(PROC), *_groups(PROC, GROUPS), *_limits(PROC)), default=None)


def size_of(n: float) -> str:
    """A number of bytes for people. From one MiB on it is in GiB, so that sizes can be compared."""
    for unit in ("bytes", "KiB"):
        if n < 1024:
            return f"{n:.3g} {unit}"
        n /= 1024
    n /= 1024
    digits = 2 if n < 0.1 else 3
    return f"{n:,.{digits}g} GiB" if n < 1000 else f"{n:,.0f} GiB" if n < 1e6 else f"{n:.1e} GiB"


def _machine(proc: Path) -> Iterator[int]:
    try:
        file = proc / "meminfo"
        yield 1024 * (_number(file, "MemAvailable:") + _number(file, "SwapFree:", 0))
    except (OSError, KeyError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(proc: Path, mount: Path) -> Iterator[int]:
    """What is left in the control groups of the process, and in those above them.

    Version 2 has one tree of groups. Version 1 has a tree for memory alone, whose numbers have
    other names. A container may see its own group as the root. Files that the kernel keeps in
    memory count as free, since it gives them up.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        root = mount / "memory" if kinds else mount
        most, used, cache = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if kinds
            else ("memory.max", "memory.current", "inactive_file")
        )
        group = Path(path.lstrip("/"))
        for folder in {root / each for each in (group, *group.parents)}:
            try:
                limit, held = int((folder / most).read_text()), int((folder / used).read_text())
                kept = _number(folder / "memory.stat", cache, 0)
            except (OSError, ValueError):  # no such file, or "max"
                continue
            yield max(0, limit - held + kept)


def _limits(proc: Path) -> Iterator[int]:
    """What the limits of the process leave."""
    try:
        import resource  # not on Windows
    except ImportError:
        return
    for limit, name in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
        most, _ = resource.getrlimit(limit)
        if most == resource.RLIM_INFINITY:
            continue
        try:
            yield max(0, most - 1024 * _number(proc / "self" / "status", name))
        except (OSError, KeyError):
            return


def _number(path: Path, name: str, default: int | None = None) -> int:
    """The number behind a name, of a file with a name and a number in each line.

    Raises:
        KeyError: The file has no such line, and there is no default.
    """
    found = re.search(rf"^{name}\s+(\d+)", path.read_text(), re.MULTILINE)
    if found is None and default is None:
        raise KeyError(name)
    return int(found[1]) if found else int(default or 0)
