"""The JSON API under `/api/v1/environments/{env}/`; its routes stand in the modules beside this one."""

from controlplane.api import (
    definitions,
    environment,
    environments,
    evaluations,
    flags,
    instances,
    queues,
    rollback,
    segments,
)
from controlplane.api.blueprint import blueprint

__all__ = [
    "blueprint",
    "definitions",
    "environment",
    "environments",
    "evaluations",
    "flags",
    "instances",
    "queues",
    "rollback",
    "segments",
]
