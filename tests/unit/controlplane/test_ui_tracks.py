from controlplane.ui.tracks import measure, tracks

VERSION = "7-5"


def flag(default=0, domains=None, key="useYamlMessaging"):
    return {"key": key, "version": VERSION, "percentages": {"default": default, "domains": domains or {}}}


def instance(slot, domain="collections", acknowledged=VERSION, sent=None, overrides=()):
    traffic = None if sent is None else {"sent": sent}
    return {"slot": slot, "domain": domain, "acknowledged": acknowledged, "overrides": overrides, "traffic": traffic}


def test_every_domain_that_is_listed_or_worked_for_has_a_track_in_order():
    rows = tracks(flag(5, {"zeta": 10}), [instance("balance-1", "balance"), instance("client", "")])
    assert [(row.domain, row.own, row.asked) for row in rows] == [("balance", None, 5), ("zeta", 10, 10)]


def test_what_is_seen_is_the_share_of_messages_that_the_flag_wrote():
    sent = {"application/json": 30, "application/yaml": 10}
    (row,) = tracks(
        flag(), [instance("c-1", sent=sent), instance("c-2", sent={"application/json": 40}), instance("c-3")]
    )
    assert (row.seen, row.sent) == (10 / 80, 80)


def test_without_messages_nothing_is_seen_rather_than_zero():
    (row,) = tracks(flag(), [instance("c-1", sent={})])
    assert (row.seen, row.sent) == (None, 0)


def test_a_flag_that_traffic_does_not_show_has_nothing_seen():
    (row,) = tracks(flag(key="checkout"), [instance("c-1", sent={"application/yaml": 10})])
    assert row.seen is None
    assert measure("checkout") == measure("enableBatching") == ""


def test_proof_is_the_flags_last_write_or_a_later_revision_of_the_same_epoch():
    live = [
        instance("same", acknowledged="7-5"),
        instance("later", acknowledged="7-9"),
        instance("behind", acknowledged="7-4"),
        instance("other-epoch", acknowledged="8-5"),
        instance("overriding", overrides=("useYamlMessaging",)),
    ]
    (row,) = tracks(flag(), live)
    assert (row.workers, row.proven) == (5, 2)
    assert row.missing == ("behind", "other-epoch", "overriding")
