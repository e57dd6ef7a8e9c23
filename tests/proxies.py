"""A proxy between a client and a server, of Redis or of HTTP, that does to their connections what networks do."""

import contextlib
import socket
import threading
import time
from pathlib import Path

PIECE = 65536


class Proxy:
    """Listens at one address and speaks with the server at another: the path of a unix socket, or host and port.

    `lose_answer()` arms it once: the next answer is swallowed and its connection closed, as when a server is lost
    between doing and telling. `cut_answer()` arms it once too: of the next answer only the first half gets through.
    `blackhole(True)` lets nothing pass in either direction and closes nothing. `freeze()` does so for good with the
    connections that there are, and serves new ones. `kill()` ends every connection; `refuse(True)` does so too, and
    takes no other. `delay` holds up each piece for so many seconds; with `trickle` every byte is a piece of its own.
    """

    def __init__(self, listen: Path | tuple[str, int], target: Path | tuple[str, int]):
        self._listen, self._target = _address(listen), _address(target)
        self._lose, self._cut = threading.Event(), threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._sockets, self._frozen = [], set()
        self._listener = None
        self.delay, self.trickle = 0.0, False
        self.lost = 0
        self.accepted = 0
        self.refuse(on=False)
        self.url = f"unix://{listen}" if isinstance(listen, Path) else "http://{}:{}".format(*self._listen)

    def lose_answer(self):
        self._lose.set()

    def cut_answer(self):
        self._cut.set()

    def blackhole(self, on):
        (self._open.clear if on else self._open.set)()

    def freeze(self):
        self._frozen |= set(self._sockets)

    def kill(self):
        ended, self._sockets = self._sockets, []
        for end in ended:
            self._end(end)

    def refuse(self, on):
        if on:
            listener, self._listener = self._listener, None
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self.kill()
        elif self._listener is None:
            self._listener = _listening(self._listen)
            self._listen = self._listener.getsockname()
            self._spawn(self._accept, self._listener)

    def close(self):
        self._open.set()
        self._lose.clear()
        if self._listener is not None:
            self.refuse(on=True)

    def _spawn(self, function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.accepted += 1
                server = socket.socket(_family(self._target))
                try:
                    server.connect(self._target)
                except OSError:
                    client.close()
                    server.close()
                    continue
                self._sockets += [client, server]
                self._spawn(self._pump, client, server, False)
                self._spawn(self._pump, server, client, True)

    def _pump(self, source, sink, answers):
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                self._open.wait()
                if source in self._frozen:
                    continue
                if answers and self._lose.is_set():
                    self._lose.clear()
                    self.lost += 1
                    break
                if answers and self._cut.is_set():
                    self._cut.clear()
                    self.lost += 1
                    sink.sendall(piece[: max(1, len(piece) // 2)])
                    break
                self._pass_on(sink, piece)
        self._end(source)
        self._end(sink)

    def _pass_on(self, sink, piece):
        if self.delay:
            time.sleep(self.delay)
        if not self.trickle:
            sink.sendall(piece)
            return
        for byte in piece:
            sink.sendall(bytes((byte,)))

    def _end(self, end):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _address(place):
    return str(place) if isinstance(place, Path) else place


def _family(address):
    return socket.AF_UNIX if isinstance(address, str) else socket.AF_INET


def _listening(address):
    listener = socket.socket(_family(address))
    if isinstance(address, str):
        Path(address).unlink(missing_ok=True)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(128)
    return listener
