"""A frame: one or more messages of one lane, encoded, with a header that says how, so a receiver needs no flag.

Packing and unpacking are pure; queues move frames and never look inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from messenger.formats import BATCH


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands in a queue's entry.

    Args:
        id: unique; a retried append with the same id is recognised.
        content_type, content_encoding: how the body is written.
        count: how many messages it holds.
        revision: the flags' revision that chose the format.
        body: the bytes.
        sender: id of the instance that wrote it, for reports.
    """

    id: str
    content_type: str
    content_encoding: str
    count: int
    revision: str
    body: bytes
    sender: str = ""

    @property
    def words(self) -> frozenset[str]:
        """The words that a queue must admit to take this frame."""
        words = {self.content_type, self.content_encoding}
        if self.count > 1:
            words.add(BATCH)
        return frozenset(words)
