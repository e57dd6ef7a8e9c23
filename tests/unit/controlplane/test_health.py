import pytest

from controlplane.health import judged


@pytest.mark.parametrize(
    ("product", "version", "status"),
    [
        ("Redis", "6.0.16", "fail"),
        ("Redis", "6.2.14", "warn"),
        ("Redis", "6.2.20", "pass"),
        ("Redis", "7.0.15", "warn"),
        ("Redis", "7.2.11", "pass"),
        ("Redis", "8.2.1", "warn"),
        ("Redis", "8.4.0", "pass"),
        ("Valkey", "8.1.3", "warn"),
        ("Valkey", "8.1.4", "pass"),
        ("Valkey", "9.0.0", "pass"),
    ],
)
def test_a_server_with_known_holes_is_named(product, version, status):
    answer = judged(product, version)
    assert answer.status == status
    assert bool(answer.remedy) == (status != "pass")
