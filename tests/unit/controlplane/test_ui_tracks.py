import pytest

from controlplane.ui.tracks import measure, tracks

VERSION = "7-5"


def flag(default=0, domains=None, key="useYamlMessaging"):
    return {"key": key, "version": VERSION, "percentages": {"default": default, "domains": domains or {}}}


def instance(slot, domain="collections", acknowledged=VERSION, overrides=()):
    return {"slot": slot, "domain": domain, "acknowledged": acknowledged, "overrides": overrides}


def live(*instances, **sent):
    domains = [{"domain": name, "sent_by_variant": variants} for name, variants in sent.items()]
    return {"instances": instances, "domains": domains}


def test_every_domain_that_is_listed_worked_for_or_sends_has_a_track_in_order():
    rows = tracks(flag(5, {"zeta": 10}), live(instance("balance-1", "balance"), instance("client", ""), gateway={}))
    assert [(row.domain, row.own, row.asked) for row in rows] == [
        ("balance", None, 5),
        ("gateway", None, 5),
        ("zeta", 10, 10),
    ]


@pytest.mark.parametrize(
    ("key", "seen"),
    [("useYamlMessaging", 0.4), ("enableCompression", 0.1), ("enableBatching", 0.6), ("checkout", None)],
)
def test_what_is_seen_is_the_share_of_messages_that_the_flag_wrote(key, seen):
    variants = {
        "application/json+batch": 60,
        "application/yaml": 30,
        "application/yaml+gzip": 7,
        "application/yaml+zstd": 3,
    }
    (row,) = tracks(flag(key=key), live(collections=variants))
    assert (row.seen, row.sent) == (seen, 100)
    assert bool(measure(key)) == (seen is not None)


def test_without_messages_nothing_is_seen_rather_than_zero():
    (row,) = tracks(flag(), live(instance("collections-1")))
    assert (row.seen, row.sent) == (None, 0)


def test_proof_is_the_flags_last_write_or_a_later_revision_of_the_same_epoch():
    (row,) = tracks(
        flag(),
        live(
            instance("same", acknowledged="7-5"),
            instance("later", acknowledged="7-9"),
            instance("behind", acknowledged="7-4"),
            instance("other-epoch", acknowledged="8-5"),
            instance("overriding", overrides=("useYamlMessaging",)),
        ),
    )
    assert (row.workers, row.proven) == (5, 2)
    assert row.missing == ("behind", "other-epoch", "overriding")
