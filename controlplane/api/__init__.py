"""The JSON API under `/api/v1/environments/{env}/`; its routes stand in the modules beside this one."""

from controlplane.api import environment, environments, flags, instances, queues, rollback
from controlplane.api.blueprint import blueprint

__all__ = ["blueprint", "environment", "environments", "flags", "instances", "queues", "rollback"]
