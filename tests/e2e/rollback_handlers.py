"""Handlers of the workers that the rollback's end-to-end tests start."""


def register(messenger):
    """Answer every message with its id, so that the committed results tell what was handled."""
    messenger.on("*", lambda message, send: {"handled": message.message_id})
