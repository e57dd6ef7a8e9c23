"""What an export of Unleash comes to; the documents have the shape that Unleash 7.5 gives its export in."""

import pytest

from flags.definitions import definitions_document
from flags.explanation import explain
from flags.interchange.findings import Loss
from flags.interchange.unleash import import_unleash
from flags.model import Snapshot
from foundation.errors import DocumentError


def constraint(name, operator, values=(), value=None, **more):
    content = {"contextName": name, "operator": operator, "values": list(values), "inverted": False}
    return {**content, "caseInsensitive": False, **({"value": value} if value is not None else {}), **more}


def strategy(name="default", feature="ui", constraints=(), segments=(), variants=(), **parameters):
    content = {"name": name, "featureName": feature, "id": "00000000", "title": None, "disabled": False}
    lists = {"constraints": list(constraints), "segments": list(segments), "variants": list(variants)}
    return {**content, **lists, "parameters": parameters}


def rollout(percentage, **more):
    return strategy("flexibleRollout", rollout=str(percentage), stickiness="userId", groupId="ui", **more)


def export(*strategies, features=("ui",), enabled=True, **more):
    listed = [
        {"name": name, "type": "kill-switch", "description": "", "archived": False, "stale": False} for name in features
    ]
    switched = [
        {"name": name, "featureName": name, "environment": "development", "enabled": enabled, "variants": []}
        for name in features
    ]
    return {"features": listed, "featureStrategies": list(strategies), "featureEnvironments": switched, **more}


def served(imported, context, key="ui"):
    snapshot = Snapshot(flags=imported.definitions.flags, segments=imported.definitions.segments)
    return explain(snapshot, key, {"targetingKey": "somebody", **context}).detail.value


def lost(imported, loss):
    return {each.field for each in imported.findings if each.loss is loss}


def test_a_feature_without_strategies_is_for_everybody_and_one_that_is_off_for_nobody():
    assert served(import_unleash(export()), {})
    assert not served(import_unleash(export(enabled=False)), {})


def test_constraints_must_all_hold_and_userid_is_the_targeting_key():
    given = [constraint("country", "IN", ["DE", " FR "]), constraint("userId", "STR_STARTS_WITH", ["some"])]
    imported = import_unleash(export(strategy(constraints=given)))
    assert served(imported, {"country": "FR"})
    assert not served(imported, {"country": "FR", "targetingKey": "else"})
    assert not imported.findings


@pytest.mark.parametrize(
    ("given", "holds", "fails"),
    [
        (constraint("a", "NOT_IN", ["x"]), [{"a": "y"}, {}], [{"a": "x"}]),
        (constraint("a", "IN", ["x"], inverted=True), [{"a": "y"}, {}], [{"a": "x"}]),
        (constraint("a", "NOT_IN", ["x"], inverted=True), [{"a": "x"}], [{"a": "y"}, {}]),
        (constraint("a", "STR_CONTAINS", ["X"], caseInsensitive=True), [{"a": "axb"}], [{"a": "ab"}, {}]),
        (constraint("a", "STR_ENDS_WITH", ["x."], caseInsensitive=True), [{"a": "AX."}], [{"a": "axb"}, {"a": "x.y"}]),
        (constraint("a", "NUM_GTE", value="18"), [{"a": 18}], [{"a": 17}, {}]),
        (constraint("a", "NUM_GTE", value="18", inverted=True), [{"a": 17}, {}], [{"a": 18}, {"a": "20"}]),
        (constraint("a", "NUM_EQ", value="18", inverted=True), [{"a": 17}, {"a": 19}, {}], [{"a": 18}]),
        (constraint("a", "SEMVER_LT", value="1.2.0"), [{"a": "1.2.0-rc"}], [{"a": "1.2.0"}, {}]),
    ],
)
def test_constraints_answer_as_in_unleash_for_contexts_without_the_field_too(given, holds, fails):
    imported = import_unleash(export(strategy(constraints=[given])))
    assert all(served(imported, each) for each in holds)
    assert not any(served(imported, each) for each in fails)


def test_strategies_are_alternatives_in_whatever_order_they_stand():
    gold = [constraint("plan", "IN", ["gold"])]
    imported = import_unleash(
        export(rollout(10), rollout(60, constraints=gold), strategy("userWithId", userIds="vip, u2"))
    )
    document = definitions_document(imported.definitions)["flags"]["ui"]
    assert document["rollout"] == {"percentage": 10}
    assert [rule.get("serve") for rule in document["rules"]] == ["on", None]
    assert served(imported, {"targetingKey": "vip"})
    keys = [f"k{n}" for n in range(2_000)]
    everybody = {key for key in keys if served(imported, {"targetingKey": key})}
    golden = {key for key in keys if served(imported, {"targetingKey": key, "plan": "gold"})}
    assert everybody < golden
    assert lost(imported, Loss.DIFFERS) == {f"featureStrategies.ui[{at}].parameters.rollout" for at in (0, 1)}


def test_variants_share_the_percentage_of_their_strategy_and_serve_their_payloads():
    variants = [
        {"name": "a", "weight": 250, "payload": {"type": "string", "value": "A"}, "stickiness": "default"},
        {"name": "b", "weight": 750, "stickiness": "default"},
    ]
    imported = import_unleash(export(rollout(40, variants=variants)))
    document = definitions_document(imported.definitions)["flags"]["ui"]
    assert document["variants"] == {"a": "A", "b": "b", "off": ""}
    parts = {part["variant"]: part["percentage"] for part in document["rollout"]["split"]}
    assert parts == {"a": 10, "b": 30, "off": 60}
    json = [{"name": "a", "weight": 1000, "payload": {"type": "json", "value": '{"size": 2}'}}]
    assert served(import_unleash(export(rollout(100, variants=json))), {}) == {"size": 2}


def test_a_segment_is_read_where_somebody_has_put_its_constraints_beside_its_name():
    named = {"id": 7, "name": "beta testers"}
    bare = import_unleash(export(strategy(segments=[7]), segments=[named]))
    assert not served(bare, {"plan": "gold"})
    assert lost(bare, Loss.LEFT_OUT) == {"featureStrategies.ui[0]"}
    filled = {**named, "constraints": [constraint("plan", "IN", ["gold"])]}
    imported = import_unleash(export(strategy(segments=[7]), segments=[filled]))
    assert list(imported.definitions.segments) == ["beta-testers"]
    assert served(imported, {"plan": "gold"})


def test_what_a_feature_depends_on_becomes_a_prerequisite():
    parents = [{"feature": "ui", "dependencies": [{"feature": "base", "enabled": True, "variants": []}]}]
    given = export(strategy(), strategy(feature="base"), features=("base", "ui"), dependencies=parents)
    assert served(import_unleash(given), {})
    given["featureEnvironments"][0]["enabled"] = False
    assert not served(import_unleash(given), {})
    parents[0]["dependencies"][0]["enabled"] = False
    assert list(import_unleash(given).definitions.flags) == ["base"]


@pytest.mark.parametrize(
    "given",
    [
        strategy("applicationHostname", hostNames="a"),
        strategy("remoteAddress", IPs="10.0.0.0/8"),
        strategy("flexibleRollout", rollout="50", stickiness="random"),
        strategy("gradualRolloutRandom", percentage="50"),
        strategy("ourOwn"),
        strategy(constraints=[constraint("currentTime", "DATE_AFTER", value="2027-01-01T00:00:00Z")]),
        {**strategy(), "disabled": True},
    ],
    ids=lambda given: given["name"],
)
def test_a_strategy_that_has_no_counterpart_serves_nobody_and_is_named(given):
    imported = import_unleash(export(given))
    assert not served(imported, {})
    assert any(field.startswith("featureStrategies.ui[0]") for field in lost(imported, Loss.LEFT_OUT))


def test_older_strategies_and_the_older_export_of_several_environments_are_read():
    assert served(import_unleash(export(strategy("remoteAddress", IPs="::1, 10.0.0.1"))), {"remoteAddress": "::1"})
    given = export(strategy("gradualRolloutSessionId", percentage="30", groupId="g"))
    assert definitions_document(import_unleash(given).definitions)["flags"]["ui"]["stickiness"] == "sessionId"
    given["featureEnvironments"].append({"featureName": "ui", "environment": "production", "enabled": False})
    with pytest.raises(DocumentError):
        import_unleash(given)
    assert not import_unleash(given, "production").definitions.flags["ui"].enabled


def test_what_flags_do_not_have_is_named_field_by_field():
    given = export(strategy(), featureTags=[{"featureName": "ui", "tagType": "simple", "tagValue": "two words"}])
    given["features"][0] |= {"impressionData": True, "stale": True, "type": "release"}
    imported = import_unleash(given)
    assert imported.definitions.flags["ui"].temporary
    assert lost(imported, Loss.LEFT_OUT) == {"features.ui.impressionData", "features.ui.stale", "featureTags.ui"}
    odd = export(features=("no spaces please",))
    assert lost(import_unleash(odd), Loss.LEFT_OUT) == {"features.no spaces please"}


@pytest.mark.parametrize("document", [[], {}, {"features": {}}, {"features": [1]}])
def test_what_is_no_export_is_refused(document):
    with pytest.raises(DocumentError):
        import_unleash(document)
