"""Made-up environments of several flags that refer to one another, put together past every check, and a slow evaluator.

The evaluator reads documents, not the model, and shares no code with the product but the hash.
"""

from hypothesis import strategies as st

from flags.bucketing import bucket
from flags.documents import parse_flag
from flags.model import Revision, Snapshot
from flags.segments import parse_segment
from tests.flag_documents import CLAUSES, NAMES, SCALARS, SEGMENT_CLAUSES, SEGMENTS, full_documents

KEYS = ("a", "b", "c", "d", "e")
FEW = ("k1", "k2", "k3")
LIKELY = st.fixed_dictionaries(
    {"targetingKey": st.sampled_from(FEW)}, optional={"domain": NAMES, "plan": st.sampled_from(["a", "b"])}
)
"""Contexts for which something holds of most flags here."""
MOST_IN_A_ROW = 20
MOST_EVALUATIONS = 1_000


@st.composite
def flag_documents(draw):
    """Draw documents of some of the flags, whose prerequisites may lead anywhere: round in circles, and to nothing."""
    documents = draw(st.dictionaries(st.sampled_from(KEYS), full_documents(), min_size=1, max_size=len(KEYS)))
    for key, document in documents.items():
        document["enabled"] = "hold" not in document and draw(st.integers(0, 3)) > 0
        document["archived"] = draw(st.integers(0, 5)) == 0
        names = st.sampled_from(list(document["variants"]))
        if draw(st.booleans()):
            document["targets"] = {draw(names): [FEW[0]]}
        if draw(st.booleans()):
            document["rules"] = [{"if": [draw(SEGMENT_CLAUSES)], "serve": draw(names)}, *document.get("rules", [])]
        others = [other for other in KEYS if other != key]
        most = draw(st.sampled_from([0, 0, 1, 2]))  # who needs much serves little but off
        needs = draw(st.lists(st.sampled_from(others), max_size=most, unique=True))
        document["prerequisites"] = [draw(_prerequisite(other, documents.get(other))) for other in needs]
    return documents


def _prerequisite(key, document):
    known = list(document["variants"]) if document else ["on"]
    names = st.lists(st.sampled_from(known) | NAMES, min_size=1, max_size=len(known) + 1)
    return st.fixed_dictionaries({"flag": st.just(key), "variants": names})


_SEGMENT = st.fixed_dictionaries(
    {"if": st.just([{"attribute": "plan", "operator": "exists"}]) | st.lists(CLAUSES, min_size=1, max_size=3)},
    optional={"archived": st.sampled_from([False, False, False, True])},
)
SEGMENT_DOCUMENTS = st.fixed_dictionaries({SEGMENTS[0]: _SEGMENT}, optional={SEGMENTS[1]: _SEGMENT})


@st.composite
def override_values(draw, documents):
    """Draw overrides of few flags, known and unknown, by values of their own or others."""
    keys = draw(st.lists(st.sampled_from([*KEYS, "unknown"]), max_size=1))
    own = {key: st.sampled_from(list(document["variants"].values())) for key, document in documents.items()}
    return {key: draw(own.get(key, SCALARS) | SCALARS) for key in keys}


def snapshot(documents, segments, rev=1):
    """Build the snapshot of these documents."""
    return Snapshot(
        Revision(1, rev),
        {key: parse_flag(key, document) for key, document in documents.items()},
        segments={key: parse_segment(key, document) for key, document in segments.items()},
    )


class NoAnswer(Exception):
    """What the context lacks, as an error code."""


class Slowly:
    """Evaluates documents in the order that the reference page tells, asking everything every time."""

    def __init__(self, documents, segments, overrides, compared):
        self.documents = {key: each for key, each in documents.items() if not each.get("archived")}
        self.segments = {key: each for key, each in segments.items() if not each.get("archived")}
        self.overrides, self.compared = overrides, compared

    def answer(self, key, context):
        """Answer with variant, reason, and the prerequisite that was not met; None stands for no such flag."""
        if key in self.overrides:
            return "override", "STATIC", None
        if key not in self.documents:
            return None
        document = self.documents[key]
        unmet = next((each["flag"] for each in document.get("prerequisites", []) if not self.met(each, context)), None)
        if unmet or not document["enabled"]:
            return document["offVariant"], "DISABLED", unmet if document["enabled"] else None
        return self.conditions(key, document, context)

    def conditions(self, key, document, context):
        for variant, keys in document.get("targets", {}).items():
            if any(context.get("targetingKey") == each for each in keys):
                return variant, "TARGETING_MATCH", None
        for rule in document.get("rules", []):
            if all(self.holds(clause, context) for clause in rule["if"]):
                return (rule["serve"], "TARGETING_MATCH", None) if "serve" in rule else self.part(key, rule, context)
        return self.rollout(key, document.get("rollout", {"percentage": 100}), context)

    def met(self, prerequisite, context):
        key = prerequisite["flag"]
        levels, evaluations = self.ways(key, MOST_IN_A_ROW)
        if levels > MOST_IN_A_ROW or evaluations > MOST_EVALUATIONS:
            return False
        if key in self.overrides:
            variants = self.documents.get(key, {}).get("variants", {})
            return any(exact(variants.get(name)) == exact(self.overrides[key]) for name in prerequisite["variants"])
        try:
            answer = self.answer(key, context)
        except NoAnswer:
            return False
        return answer is not None and answer[1] != "DISABLED" and answer[0] in prerequisite["variants"]

    def ways(self, key, left):
        """Count flags in a row, and evaluations in all."""
        if left == 0:
            return 1, 1
        needed = [] if key in self.overrides else self.documents.get(key, {}).get("prerequisites", [])
        below = [self.ways(each["flag"], left - 1) for each in needed]
        return 1 + max((levels for levels, _ in below), default=0), 1 + sum(count for _, count in below)

    def holds(self, clause, context):
        if "segment" not in clause:
            return self.compared(clause, context)
        segment = self.segments.get(clause["segment"])
        if segment is None:
            return False
        return all(self.compared(each, context) for each in segment["if"]) is not clause.get("negate", False)

    def rollout(self, key, rollout, context):
        document = self.documents[key]
        domains, domain = rollout.get("domains", {}), context.get("domain")
        listed = isinstance(domain, str) and domain in domains
        if "split" in rollout and not listed:
            return self.part(key, rollout, context)
        percentage = domains[domain] if listed else rollout["percentage"]
        figures = {*domains.values(), rollout.get("percentage", "a split")}
        reason = "SPLIT"
        if figures in ({0}, {100}):
            conditions = any(document.get(name) for name in ("rules", "targets", "prerequisites"))
            reason = "DEFAULT" if conditions else "STATIC"
        on = percentage == 100 or (percentage > 0 and self.bucket(key, context) < round(percentage * 1000))
        return self.on_variant(document) if on else document["offVariant"], reason, None

    def on_variant(self, document):
        others = [name for name in document["variants"] if name != document["offVariant"]]
        return document.get("onVariant", others[0])

    def part(self, key, splitting, context):
        parts = [part for part in splitting["split"] if part["percentage"]]
        place = self.bucket(key, context) if len(parts) > 1 else 0
        below = 0
        for part in parts:
            below += round(part["percentage"] * 1000)
            if place < below:
                return part["variant"], "SPLIT", None
        raise AssertionError("a split adds up to everybody")

    def bucket(self, key, context):
        document = self.documents[key]
        value = context.get(document.get("stickiness", "targetingKey"))
        if value is None or value == "":
            raise NoAnswer("TARGETING_KEY_MISSING")
        if not isinstance(value, str):
            raise NoAnswer("INVALID_CONTEXT")
        return bucket(document.get("salt", key), value)


def exact(value):
    """Show a value so that 1, 1.0 and true differ."""
    return repr(value)
