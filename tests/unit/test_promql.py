"""The evaluator of alert rules says what Prometheus would."""

from __future__ import annotations

import math

import pytest

from plain_yaml import load
from promql import evaluate, metrics_of, parse
from scrapes import Scrapes


def scraped(*expositions: str | None, job: str = "a", every: float = 60.0) -> Scrapes:
    """Scrapes of one target, a minute apart."""
    scrapes = Scrapes()
    for number, text in enumerate(expositions):
        scrapes.add(number * every, job, "here", text)
    return scrapes


def figures(expression: str, scrapes: Scrapes) -> dict[str, float]:
    """Figures by labels other than the target's."""
    return {
        ",".join(f"{n}={v}" for n, v in sorted(labels) if n not in ("job", "instance")): figure
        for labels, figure in evaluate(expression, scrapes).items()
    }


LAG = 'lag{model="x"} 7\nlag{model="y"} 3\nlimit 5\n'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("lag > 5", {"model=x": 7}),
        ('lag{model!="x"}', {"model=y": 3}),
        ('lag{model=~"x|z"} * 2', {"model=x": 14}),
        ('lag{model!~"x|z"} - 1', {"model=y": 2}),
        ("max(lag)", {"": 7}),
        ("sum by (job) (lag) + 1 * 2", {"": 12}),
        ("count(lag) > 2", {}),
        ("max(lag) > max(limit) and max(limit) > 0", {"": 7}),
        ("max(lag) unless max(limit) > 0", {}),
        ("max(lag) > 9 or max(limit)", {"": 5}),
        ("2 * 3 + 4 / 2", {"": 8}),
        ("absent(lag)", {}),
        ('absent(lag{model="z"})', {"": 1}),
        ("up", {"": 1}),
        ("time() - 1", {"": -1}),
    ],
)
def test_figures_of_one_scrape(expression: str, expected: dict[str, float]) -> None:
    assert figures(expression, scraped(LAG)) == expected


def test_rates_are_changes_a_second_and_survive_a_restart() -> None:
    scrapes = scraped("# TYPE c counter\nc_total 10\n", "c_total 70\n", "c_total 60\n")
    assert figures("rate(c_total[5m])", scrapes) == {"": 1.0}
    assert figures("increase(c_total[5m])", scrapes) == {"": 120.0}
    assert figures("rate(c_total[1m])", scrapes) == {"": 1.0}
    assert figures("delta(c_total[5m])", scrapes) == {"": 50.0}


def test_one_sample_has_no_rate() -> None:
    assert figures("rate(c_total[5m])", scraped("c_total 10\n")) == {}


def test_quantiles_lie_within_their_bucket() -> None:
    buckets = 's_bucket{le="0.1"} %d\ns_bucket{le="1"} %d\ns_bucket{le="+Inf"} %d\n'
    scrapes = scraped(buckets % (0, 0, 0), buckets % (90, 100, 100))
    assert figures("histogram_quantile(0.9, sum by (le) (rate(s_bucket[5m])))", scrapes)[""] == pytest.approx(
        0.1
    )
    assert figures("histogram_quantile(0.95, sum by (le) (rate(s_bucket[5m])))", scrapes)[
        ""
    ] == pytest.approx(0.55)
    idle = scraped(buckets % (5, 5, 5), buckets % (5, 5, 5))
    assert math.isnan(figures("histogram_quantile(0.9, sum by (le) (rate(s_bucket[5m])))", idle)[""])


def test_a_series_ends_with_its_target_or_with_the_scrape_that_lacks_it() -> None:
    assert figures("lag", scraped(LAG, None)) == {}
    assert figures("up", scraped(LAG, None)) == {"": 0}
    assert figures("lag", scraped(LAG, "limit 5\n")) == {}


@pytest.mark.parametrize(
    "text", ["lag >", "sum by lag", "predict_linear(lag[5m], 3)", "lag # x", "(lag", "lag lag"]
)
def test_what_is_not_in_the_subset_is_refused(text: str) -> None:
    with pytest.raises(SyntaxError):
        parse(text)


def test_the_metrics_of_an_expression() -> None:
    assert metrics_of('sum by (le) (rate(a_bucket{x="b"}[5m])) / c > 3 or absent(d)') == {
        "a_bucket",
        "c",
        "d",
    }


def test_plain_yaml() -> None:
    text = 'a:\n  - b: "x: y"  # why\n    c: >-\n      one\n      two\n    d: [1, z]\n  - e\n# no\nf:\n  g: true\n  h: 10\n'
    assert load(text) == {
        "a": [{"b": "x: y", "c": "one two", "d": [1, "z"]}, "e"],
        "f": {"g": True, "h": 10},
    }
    for wrong in ("a: {b: c}", "a: 1\na: 2", "a:\n  b: 1\n c: 2", "just text"):
        with pytest.raises(ValueError, match="line"):
            load(wrong)
