"""A proxy between a client and a Redis server that can lose an answer, or everything."""

import contextlib
import socket
import threading
from pathlib import Path

PIECE = 65536


class Proxy:
    """Listens on one unix socket and speaks with the server on another.

    `lose_answer()` arms it once: the next answer is swallowed and its connection closed, as when a server is lost
    between doing and telling. `blackhole(True)` lets nothing pass in either direction and closes nothing.
    """

    def __init__(self, path: Path, target: Path):
        self.url = f"unix://{path}"
        self._target = str(target)
        self._lose = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._sockets = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._spawn(self._accept)
        self.lost = 0

    def lose_answer(self):
        self._lose.set()

    def blackhole(self, on):
        (self._open.clear if on else self._open.set)()

    def close(self):
        self._open.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            self._end(end)

    def _spawn(self, function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._sockets += [client, server]
                self._spawn(self._pump, client, server, False)
                self._spawn(self._pump, server, client, True)

    def _pump(self, source, sink, answers):
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                self._open.wait()
                if answers and self._lose.is_set():
                    self._lose.clear()
                    self.lost += 1
                    break
                sink.sendall(piece)
        self._end(source)
        self._end(sink)

    def _end(self, end):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
