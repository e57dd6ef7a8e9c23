"""One attempt at work: what its steps share, and the few sentences in which they write to the record."""

from __future__ import annotations

from dataclasses import dataclass

from flags.model import Revision
from foundation.health import CheckResult, Status
from messenger.formats import WORDS_OF_FLAG, YAML
from rollout.journal import Lead
from rollout.ports import Ports
from rollout.record import Record, Request, time_seconds


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt: its hands, what it was asked, the record that it fills, and its right to write the journal."""

    ports: Ports
    request: Request
    record: Record
    lead: Lead

    @property
    def keys(self) -> list[str]:
        """The flags to take back."""
        return list(self.record["flags"])

    @property
    def words(self) -> frozenset[str]:
        """The words of formats that queues must not admit any more."""
        return words_of(self.keys)

    @property
    def clears_yaml(self) -> bool:
        """Whether YAML is among them: the one format that is cleared out of queues too."""
        return YAML in self.words

    @property
    def revision(self) -> Revision:
        """The revision that every instance has to acknowledge."""
        return Revision.parse(self.record["revision"])

    @property
    def killed(self) -> bool:
        """Whether the flags were seen killed."""
        return bool(self.record["killed"])

    @property
    def since_kill(self) -> float:
        """Seconds since the flags were seen killed."""
        return self.ports.clock.now() - time_seconds(self.record["killed"])

    def check(self, name: str, status: Status, detail: str, remedy: str = "") -> None:
        """Write down what a check found."""
        self.record["checks"][name] = {"status": status, "detail": detail, "remedy": remedy, "seconds": 0.0}

    def checked(self, result: CheckResult) -> None:
        """Write down what a health check found."""
        self.check(result.name, result.status, result.detail, result.remedy)
        self.record["checks"][result.name]["seconds"] = round(result.seconds, 3)


def words_of(keys: list[str]) -> frozenset[str]:
    """Gather the words that queues stop admitting when these flags are killed; other flags have none."""
    return frozenset().union(*(WORDS_OF_FLAG.get(key, frozenset()) for key in keys))


def named(names: list[str], limit: int = 5) -> str:
    """List names for a line of text, the first few of many."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
