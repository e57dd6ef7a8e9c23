"""Messages between workers: the nouns that senders, receivers and queues share.

Only the pure floor is found here. Codecs, queues and the messenger itself are imported from their modules, so that who
needs a word does not load a parser or a connection.
"""

from messenger.envelope import Envelope, Metadata
from messenger.errors import EnvelopeInvalid, MessengerError
from messenger.formats import FALLBACK, Format, FormatPolicy
from messenger.frame import Frame

__all__ = [
    "FALLBACK",
    "Envelope",
    "EnvelopeInvalid",
    "Format",
    "FormatPolicy",
    "Frame",
    "MessengerError",
    "Metadata",
]
