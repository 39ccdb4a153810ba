"""What `prometheus:URL?query=…` says, and what is refused of it."""

import pytest

from ecoml.energy import J_PER_KWH
from ecoml.errors import UsageError
from ecoml.meter.counters.remote.query import PrometheusQuery


@pytest.mark.parametrize(
    ("spec", "unit", "joules"),
    [
        ("prometheus:http://h:9090?query=kepler_node_cpu_joules_total", "joules", 1.0),
        ('prometheus:http://h:9090/prom?query=sum(kepler_node_cpu_joules_total{zone="package"})', "joules", 1.0),
        ("prometheus:http://h:9090?query=scaph_host_power_microwatts", "microwatts", 1e-6),
        ("prometheus:http://h:9090?query=a%20%2B%20b&unit=kWh&step=1m30s", "kwh", J_PER_KWH),
        ("prometheus:http://h:9090?query=a + b&unit=W&unit=watts", "watts", 1.0),
    ],
)
def test_what_a_query_says(spec, unit, joules):
    query = PrometheusQuery.of(spec)
    assert (query.unit, query.scale) == (unit, joules)
    assert query.query in (
        "a + b",
        "kepler_node_cpu_joules_total",
        'sum(kepler_node_cpu_joules_total{zone="package"})',
        "scaph_host_power_microwatts",
    )
    assert query.step_s in (None, 90.0)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("prometheus:", "no server"),
        ("prometheus:localhost:9090?query=x_watts", "no server"),
        ("prometheus:http://h:9090", "no query"),
        ("prometheus:http://u:secret@h:9090?query=x_watts", "ECOML_PROMETHEUS_AUTHORIZATION"),
        ("prometheus:http://h:9090?query=rate(x_joules_total[1m])", "unit="),
        ("prometheus:http://h:9090?query=x_joules_total / 1000", "unit="),
        ("prometheus:http://h:9090?query=power", "unit="),
        ("prometheus:http://h:9090?query=power&unit=horses", "unknown unit"),
        ("prometheus:http://h:9090?query=x_watts&step=never", "step"),
        ("prometheus:http://h:9090?query=x_watts&domain=rack", "unknown domain 'rack'"),
        ("prometheus:http://h:9090?query=x_watts&domain=CPU:0", "unknown domain"),
        ("prometheus:http://h:9090?query=x_watts&domain=gpu", "unknown domain"),
        ("prometheus:http://h:9090?query=x_watts&provenance=reported", "provenance"),
    ],
)
def test_a_query_that_cannot_be_understood_is_one_clear_line(spec, told):
    with pytest.raises(UsageError, match=told) as refused:
        PrometheusQuery.of(spec)
    assert "secret" not in str(refused.value)
