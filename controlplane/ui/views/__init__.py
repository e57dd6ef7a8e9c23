"""The routes of the pages, a module for each part of the navigation; importing this hangs them on the blueprint."""

from controlplane.ui.views import (
    changes,
    environments,
    flags,
    instances,
    playground,
    problems,
    queues,
    rollback,
    session,
)

__all__ = ["changes", "environments", "flags", "instances", "playground", "problems", "queues", "rollback", "session"]
