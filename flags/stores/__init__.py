"""Where flags and instances are kept: in memory and in Redis, behind the same ports."""
