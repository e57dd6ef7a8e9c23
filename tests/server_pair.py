"""Two Redis servers behind one address, with everything that can befall them: the world of the update protocol.

`Switch` is the address: a proxy that leads to one server at a time, and can change the server under an open connection
without anybody noticing, as some proxies do. `ServerPair` is what an operator, or an accident, does to the two.
"""

import contextlib
import os
import selectors
import socket
import threading

import redis

from flags.stores.redis import RedisFlagStore, RedisInstanceRegistry
from foundation.redis import connect
from tests.support import eventually

PIECE = 65536
ENVIRONMENT = "test"
PATIENCE = 20.0
"""Seconds that whoever sets up the world waits for a server: a machine that is busy breaks no promise."""


class Switch:
    """Listens on one unix socket, and speaks with whichever server it leads to; a single thread moves the bytes."""

    def __init__(self, path, target):
        self.url = f"unix://{path}"
        self._path = path
        self._target = str(target)
        self._others = {}
        self._orders, self._done = [], threading.Event()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._bell, self._ring = os.pipe()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._losing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def lead_to(self, target, *, hidden=False):
        """Lead to another server; connections are cut, or where it is `hidden`, go on with the other one."""
        self._order(lambda: self._move(str(target), hidden))

    def lose_answer(self):
        """Swallow the next answer, and cut its connection in the middle of it."""
        self._order(lambda: setattr(self, "_losing", True))

    def close(self):
        """Cut every connection and stop listening."""
        self._order(None)
        self._thread.join(10)
        self._path.unlink()

    def _order(self, work):
        self._done.clear()
        self._orders.append(work)
        os.write(self._ring, b"!")
        assert self._done.wait(10), "the switch does not answer"

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd == self._bell:
                    os.read(self._bell, 1)
                    work = self._orders.pop()
                    if work is None:
                        self._end_all()
                        return
                    work()
                    self._done.set()
                elif key.fileobj in self._others:
                    self._pass_on(key.fileobj, to_client=key.data)

    def _accept(self):
        client, _ = self._listener.accept()
        self._join(client)

    def _join(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._target)
        except OSError:
            server.close()
            client.close()
            return
        self._others |= {client: server, server: client}
        self._selector.register(client, selectors.EVENT_READ, False)
        self._selector.register(server, selectors.EVENT_READ, True)

    def _pass_on(self, source, *, to_client):
        try:
            piece = source.recv(PIECE)
            if piece and to_client and self._losing:
                self._losing = False
                self._others[source].sendall(piece[: len(piece) // 2])
                piece = b""
            if piece:
                self._others[source].sendall(piece)
                return
        except OSError:
            pass
        self._cut(source)

    def _cut(self, end):
        other = self._others.pop(end)
        self._others.pop(other)
        for one in (end, other):
            self._selector.unregister(one)
            one.close()

    def _move(self, target, hidden):
        self._target = target
        clients = [end for end in self._others if not self._selector.get_key(end).data]
        for client in clients:
            if not hidden:
                self._cut(client)
                continue
            server = self._others.pop(client)
            self._others.pop(server)
            for one in (client, server):
                self._selector.unregister(one)
            server.close()
            self._join(client)

    def _end_all(self):
        for end in list(self._others):
            if end in self._others:
                self._cut(end)
        self._selector.close()
        self._listener.close()
        os.close(self._bell)
        os.close(self._ring)
        self._done.set()


class ServerPair:
    """Two servers, of which one is current: the one that the address leads to, and the only one that is written.

    Args:
        make: makes a server from its name, as the fixture `make_redis` does.
        folder: short folder for the address's socket.
        names: of the two servers.
    """

    def __init__(self, make, folder, names=("first", "second")):
        self.current, self.other = (self._served(make, name) for name in names)
        self.switch = Switch(folder / f"{names[0]}-address.sock", self.current.socket)
        self.url = self.switch.url

    @staticmethod
    def _served(make, name):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        quick = {"hz": "500", "repl-diskless-sync": "no", "port": port, "bind": "127.0.0.1"}
        return make(name, config=quick)

    def reset(self):
        """Empty both, and part them."""
        for server in (self.current, self.other):
            with connect(server.url, timeout=PATIENCE) as client:
                client.replicaof("NO", "ONE")
                client.flushall()
        self.switch.lead_to(self.current.socket)

    @contextlib.contextmanager
    def store(self):
        """The current server's flags."""
        with contextlib.closing(RedisFlagStore(self.current.url, ENVIRONMENT, timeout=PATIENCE)) as store:
            yield store

    @contextlib.contextmanager
    def registry(self):
        """The current server's instances."""
        with contextlib.closing(RedisInstanceRegistry(self.current.url, ENVIRONMENT, timeout=PATIENCE)) as registry:
            yield registry

    def writable(self):
        """Tell whether the current server is nobody's replica."""
        return self._asked(self.current, "role") == "master"

    def rest(self):
        """Wait until nothing is on its way between the two."""
        if not self.writable():
            eventually(self._level, PATIENCE, interval=0.001)

    def checkpoint(self):
        """Copy what the current server holds, as a backup does."""
        with connect(self.current.url, timeout=PATIENCE) as client:
            client.save()
        return (self.current.folder / "dump.rdb").read_bytes()

    def restart(self, copy=None):
        """Kill the current server and start it again, with what it held or with a copy."""
        self._start_from(self.current, copy or self.checkpoint())

    def restore_alive(self, copy):
        """Bring a copy into the running server, as migrations do: a helper is started from it, and replicated."""
        self._start_from(self.other, copy)
        self._replicate(self.current, self.other)
        self.promote()

    def attach(self):
        """Make the other server a replica of the current one."""
        self._replicate(self.other, self.current)

    def detach(self):
        """Part the other server, which stays behind with what it has."""
        with connect(self.other.url, timeout=PATIENCE) as client:
            client.replicaof("NO", "ONE")

    def promote(self):
        """Make the current server a primary."""
        with connect(self.current.url, timeout=PATIENCE) as client:
            client.replicaof("NO", "ONE")

    def fail_over(self, *, hidden):
        """Lead everybody to the other server as it is: a replica or not, level, behind or empty."""
        self.current, self.other = self.other, self.current
        self.switch.lead_to(self.current.socket, hidden=hidden)

    def cut_connections(self):
        """Kill every client's connection on the current server."""
        with connect(self.current.url, timeout=PATIENCE) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def trim(self, entries):
        """Leave so many entries in the log."""
        with connect(self.current.url, timeout=PATIENCE) as client, contextlib.suppress(redis.ReadOnlyError):
            client.xtrim(f"sb:{{{ENVIRONMENT}}}:log", maxlen=entries, approximate=False)

    def lose_everything(self):
        """Empty the current server while it runs."""
        with connect(self.current.url, timeout=PATIENCE) as client, contextlib.suppress(redis.ReadOnlyError):
            client.flushall()

    def close(self):
        """Take the address away."""
        self.switch.close()

    def _start_from(self, server, copy):
        server.kill()
        (server.folder / "dump.rdb").write_bytes(copy)
        server.start()

    def _replicate(self, server, primary):
        with connect(primary.url, timeout=PATIENCE) as client:
            client.replicaof("NO", "ONE")
        with connect(server.url, timeout=PATIENCE) as client:
            if client.info("replication").get("master_link_status") != "up":
                client.replicaof("NO", "ONE")  # or it goes on waiting for a second to connect again
            client.replicaof("127.0.0.1", primary.config["port"])
        eventually(lambda: self._asked(server, "master_link_status") == "up", PATIENCE, interval=0.001)

    def _level(self):
        here, there = self._asked(self.current, "slave_repl_offset"), self._asked(self.other, "master_repl_offset")
        return self._asked(self.current, "master_link_status") == "up" and here == there

    def _asked(self, server, fact):
        with connect(server.url, timeout=PATIENCE) as client:
            return client.info("replication").get(fact)
