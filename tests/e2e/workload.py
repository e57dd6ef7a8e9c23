"""What the workers of end-to-end tests do: numbers go from `collections` to `balance`, and some of them misbehave."""

import threading


def register(messenger):
    messenger.on("NUMBER", _forward if messenger.domain == "collections" else _answer)
    messenger.on("RAISE", _raise)
    messenger.on("HANG", _hang)


def _forward(message, send):
    send("NUMBER", {"n": message.payload["n"]}, target="balance")
    return message.payload["n"]


def _answer(message, send):
    return message.payload["n"]


def _raise(message, send):
    raise ValueError(f"number {message.payload['n']} is not to my liking")


def _hang(message, send):
    threading.Event().wait()
