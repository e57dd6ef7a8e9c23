"""`python -m tests.forker MODE URL COUNT` forks children in batches, and prints how many of them proved themselves."""

import multiprocessing
import os
import sys
import traceback

from tests.forking import URL, in_child, in_child_of_loaded, started

BATCH = 20


def fork_bare(client, url, count):
    """Fork by os.fork; answers with the children's exit codes."""
    parent, children = client.instance, []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                in_child(client, url, parent)
                status = 0
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(status)
        children.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def fork_processes(client, url, count):
    """Fork by multiprocessing."""
    context = multiprocessing.get_context("fork")
    return _codes([context.Process(target=in_child, args=(client, url, client.instance)) for _ in range(count)])


def fork_from_server(_, url, count):
    """Fork from multiprocessing's server, which has loaded this module and with it a client of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.forking"])
    os.environ[URL] = url
    return _codes([context.Process(target=in_child_of_loaded, args=(url,)) for _ in range(count)])


def _codes(processes):
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


MODES = {"bare": fork_bare, "process": fork_processes, "server": fork_from_server}


def main():
    mode, url, count = MODES[sys.argv[1]], sys.argv[2], int(sys.argv[3])
    client = None if mode is fork_from_server else started(url)
    codes = []
    for first in range(0, count, BATCH):
        codes += mode(client, url, min(BATCH, count - first))
    sys.stdout.write(f"{codes.count(0)}\n")


if __name__ == "__main__":
    main()
