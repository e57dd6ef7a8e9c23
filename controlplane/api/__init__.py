"""The JSON API under `/api/v1/environments/{env}/`; its routes stand in the modules beside this one."""

from controlplane.api import environment, flags, instances, queues, rollback
from controlplane.api.blueprint import blueprint

__all__ = ["blueprint", "environment", "flags", "instances", "queues", "rollback"]
