"""A sender in a process of its own, driven by lines on standard input; what it was told and did is on standard output.

    python numbered_sender.py FLAGS_URL QUEUE_URL ENVIRONMENT MODE

MODE is `flags` (asks the flags, as every worker does) or `yaml` (disobeys them: always YAML). A line `DOMAIN PREFIX
COUNT` sends that many numbered messages and answers with the same line once they are in the queue.
"""

import sys
from contextlib import closing, nullcontext

from flags.client import FlagClient
from flags.sources.redis import RedisSource
from messenger.formats import ADAPTIVE, YAML, FixedPolicy, Format
from messenger.messenger import WorkerMessenger
from messenger.policy import FlagPolicy
from messenger.queues.streams import RedisQueueServer


def main():
    flags_url, queue_url, environment, mode = sys.argv[1:]
    opened = FlagClient(RedisSource(flags_url, environment)) if mode == "flags" else nullcontext()
    with closing(RedisQueueServer(queue_url, environment)) as server, opened as client:
        policy = FlagPolicy(client) if client else FixedPolicy(Format(YAML, batching=ADAPTIVE))
        with WorkerMessenger(server, "collections", instance_id=f"sender-{mode}", policy=policy) as messenger:
            print("ready", flush=True)  # noqa: T201 - its answers
            for line in sys.stdin:
                domain, prefix, count = line.split()
                for number in range(int(count)):
                    messenger.send("NUMBERED", {"number": number}, target=domain, message_id=f"{prefix}-{number}")
                messenger.flush()
                print(line.strip(), flush=True)  # noqa: T201 - its answers


main()
