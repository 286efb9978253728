"""Where the shares of a run are computed, and where their results are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .checkpoint import Checkpoint, checkpoint_at
from .plain import digest_of

if TYPE_CHECKING:
    from .on_ray import Cluster, Trials


@contextmanager
def opened(about: Mapping[str, Any], distribute: Any, checkpoint: Any) -> Iterator[Work]:
    """The executor and the checkpoint that ``distribute`` and ``checkpoint`` ask for.

    Args:
        about: What tells this run from others, for the checkpoint.
        distribute: As the user gave it: None, "ray" or an address.
        checkpoint: As the user gave it: None or a folder.
    """
    with ExitStack() as stack:
        kept = cluster = None
        if checkpoint is not None:
            kept = stack.enter_context(checkpoint_at(checkpoint, about))
        if distribute is not None:
            from .on_ray import cluster_at

            cluster = cluster_at(distribute)
        yield Work(kept, cluster)


def trials_at(distribute: Any) -> Trials:
    """What runs a conversion's candidates on a cluster.

    Args:
        distribute: As the user gave it, and not None.
    """
    from .on_ray import Trials, cluster_at

    return Trials(cluster_at(distribute))


@dataclass(frozen=True, slots=True)
class Work:
    """The executor and the checkpoint of a run.

    Args:
        checkpoint: Keeps the results of shares, or None.
        cluster: Computes shares on other processes, or None for this one.
        prefix: Put in front of the names of all shares in the checkpoint.
        first: Number of samples that came before those of the shares, in a stream.
    """

    checkpoint: Checkpoint | None = None
    cluster: Cluster | None = None
    prefix: str = ""
    first: int = 0

    def within(self, prefix: str = "", first: int = 0) -> Work:
        """The same executor and checkpoint, for a part of the work."""
        return replace(self, prefix=self.prefix + prefix, first=self.first + first)

    def has(self, share: slice) -> bool:
        """Whether the result of a share is kept."""
        return self.checkpoint is not None and self.checkpoint.has(self._name(share))

    def load(self, share: slice) -> Mapping[str, Any] | None:
        """The result of a share that is kept, or None."""
        if self.checkpoint is None or not self.has(share):
            return None
        return self.checkpoint.load(self._name(share))

    def save(self, share: slice, result: Mapping[str, Any]) -> None:
        """Keep the result of a share."""
        if self.checkpoint is not None:
            self.checkpoint.save(self._name(share), result)

    def once(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """A result from the checkpoint, or else computed and saved there.

        Args:
            name: Its name.
            compute: Computes it, as plain data.
        """
        name = self.prefix + name
        if self.checkpoint is not None and self.checkpoint.has(name):
            kept: Mapping[str, Any] = self.checkpoint.load(name)
            return kept
        result = compute()
        if self.checkpoint is not None:
            self.checkpoint.save(name, result)
        return result

    def require_same(self, what: str, value: Any) -> None:
        """Refuse a checkpoint of other samples or metrics.

        Args:
            what: "data" or "metrics".
            value: The samples or metrics of this run.

        Raises:
            FileError: The checkpoint is of other samples or metrics.
        """
        if self.checkpoint is not None:
            found = value() if what == "model" else value
            self.checkpoint.require_same(
                what, f"{self.prefix}{what}-{self.first:09d}", digest_of(found)
            )

    def _name(self, share: slice) -> str:
        first, last = self.first + share.start, self.first + share.stop - 1
        return f"{self.prefix}{first:09d}-{last:09d}"
