"""Feature flags: the nouns, their documents and their evaluation.

What is re-exported here is pure and light. The client is `flags.client.FlagClient`; stores and sources are modules of
their own, so that nobody loads a library that they do not use.
"""

from flags.definitions import parse_definitions, parse_flags
from flags.documents import flag_document, parse_flag
from flags.errors import FlagHeld, FlagNotFound, FlagsError, RevisionConflict
from flags.evaluation import Detail, ErrorCode, Reason
from flags.explanation import evaluate, explain
from flags.model import Clause, Flag, Hold, Revision, Rollout, Rule, Segment, Snapshot

__all__ = [
    "Clause",
    "Detail",
    "ErrorCode",
    "Flag",
    "FlagHeld",
    "FlagNotFound",
    "FlagsError",
    "Hold",
    "Reason",
    "Revision",
    "RevisionConflict",
    "Rollout",
    "Rule",
    "Segment",
    "Snapshot",
    "evaluate",
    "explain",
    "flag_document",
    "parse_definitions",
    "parse_flag",
    "parse_flags",
]
