"""The names of an environment's keys in Redis, in one place.

All of them share the hash tag `{env}`, so that an environment lives in one slot of a cluster. Knows no commands.
"""

from __future__ import annotations

from dataclasses import dataclass

from flags.environments import environment_name


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one environment; raises DocumentError where its name could not be part of a key."""

    environment: str

    def __post_init__(self) -> None:
        environment_name(self.environment)

    @property
    def prefix(self) -> str:
        """What every key of the environment starts with."""
        return f"sb:{{{self.environment}}}:"

    def named(self, name: str) -> str:
        """One of the keys that every environment has once, such as `meta`, `flags` or `log`."""
        return self.prefix + name

    def operation(self, operation: str) -> str:
        """Where the result of a write is kept."""
        return f"{self.prefix}op:{operation}"

    def history(self, flag_key: str) -> str:
        """The stream of what was done to one flag."""
        return f"{self.prefix}hist:{flag_key}"

    def acknowledged(self, epoch: int) -> str:
        """The sorted set of what each instance has applied within an epoch; epoch and rev do not fit one score."""
        return f"{self.prefix}acked:{epoch}"
