"""Evaluates with flagd's published in-process provider: a document with cases in each line, answers in another.

Runs in a virtual environment of its own, since two lines of the provider's releases are asked, and knows nothing of
this product. A case is [flag key, type, default value, context]; an answer is the value, as OpenFeature's client gives
it: the default value on an error.
"""

import contextlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError

logging.disable(logging.CRITICAL)


def answer(document, cases):
    """Evaluate the cases over a file that holds the document."""
    handle, path = tempfile.mkstemp(suffix=".json")
    with os.fdopen(handle, "w") as file:
        json.dump(document, file)
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=path)
    try:
        provider.initialize(EvaluationContext())
        return [evaluate(provider, *case) for case in cases]
    finally:
        provider.shutdown()
        with contextlib.suppress(OSError):
            Path(path).unlink()


def evaluate(provider, key, kind, default, context):
    """Evaluate one case."""
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    resolve = getattr(provider, f"resolve_{kind}_details")
    try:
        return resolve(key, default, EvaluationContext(context.get("targetingKey"), attributes)).value
    except OpenFeatureError:
        return default


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(*json.loads(line))) + "\n")
    sys.stdout.flush()
