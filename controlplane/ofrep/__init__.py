"""OFREP, OpenFeature's protocol for evaluating flags on a server, for clients that others publish.

`routes` runs beside the API, `events` with the streams; each registers the one that is its own.
"""
