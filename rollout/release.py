"""Release: what a person does once the reason for a rollback is gone. The flag stays disabled, and may be enabled."""

from __future__ import annotations

from flags import edits, service
from flags.model import Revision
from flags.store import FlagStore, Written
from messenger.queue import QueueServer
from rollout.run import words_of


def release(  # noqa: PLR0913 - as for `flags.service.change`
    store: FlagStore,
    server: QueueServer,
    key: str,
    actor: str,
    reason: str = "",
    *,
    operation: str | None = None,
    request: str = "",
    expected: Revision | None = None,
) -> Written:
    """Take the hold off a flag and let the queues admit its formats again; harmless where there is no hold.

    Words that another held flag bars too stay barred.

    A repeated operation changes no flag, and sees to it once more that the queues admit what no flag on hold bars.

    Raises:
        FlagNotFound: no such flag.
        RevisionConflict: the flag was written after `expected`; nothing was changed.
        IdempotencyMismatch: the operation was another request; nothing was changed.
        StoreUnreachable, StoreRefused: of the flags server, and nothing was changed; or of the queue server, and the
            flag is released while its queues are still barred: run it again.
    """
    written = (operation and store.recall(operation, request)) or service.change(
        store,
        [key],
        edits.release,
        actor=actor,
        reason=reason,
        operation=operation,
        request=request,
        expected=expected,
    )
    # A rollback holds its flags first, and then bars: one whose hold is not seen has its bars yet to come, or makes the
    # release look again.
    while not _let_in(store, server, words_of([key])):
        pass
    return written


def _let_in(store: FlagStore, server: QueueServer, words: frozenset[str]) -> bool:
    """Release words that no hold bars; False, and nothing is done, where somebody bars some at this very moment."""
    bars = server.bars()
    return server.release_all(words - _held(store), bars)


def _held(store: FlagStore) -> frozenset[str]:
    """Gather the words that flags on hold keep out of the queues."""
    return words_of([key for key, flag in store.snapshot().flags.items() if flag.hold is not None])
