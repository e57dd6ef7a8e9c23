"""Transcodes a queue of a server until it is done or dies: by its own hand at a given step, or by its parent's.

Arguments: URL of the server, step at which to die (-1 never), before or after.
"""

import os
import signal
import sys

from messenger.formats import IDENTITY, JSON
from messenger.frame import Frame
from messenger.queues.streams import RedisQueue, RedisQueueServer
from messenger.queues.transcode import transcode


def as_json(frame):
    """Stands for the codecs: what the queue has to do is the same."""
    if frame.content_type == JSON:
        return frame
    return Frame(frame.id, JSON, IDENTITY, frame.count, frame.revision, frame.body + b"!", frame.sender)


class Mortal(RedisQueue):
    def dies(self, step, when):
        self._left, self._when = step, when

    def run(self, purpose, script, arguments):
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        reply = super().run(purpose, script, arguments)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return reply


if __name__ == "__main__":
    url, step, when = sys.argv[1:]
    server = RedisQueueServer(url, "test", timeout=10)
    queue = Mortal(server.site, "busy")
    queue.dies(int(step), when)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    transcode(queue, as_json, operation="rollback-1")
