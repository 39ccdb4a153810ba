"""The published data of arXiv 2303.13972: the comparison gives the ratios that were worked out from it by hand."""

from pathlib import Path

import pytest

from ecoml.experiments.compare import gather

PLACES = [parent / "shared" / "data" / "yarally_rq1.csv" for parent in Path(__file__).resolve().parents]
DATA = next((place for place in PLACES if place.is_file()), None)


@pytest.mark.skipif(DATA is None, reason="the published raw data lie outside the repository")
@pytest.mark.parametrize(
    ("reference", "value", "problems", "low", "high"), [("random", 5.12, 11, 0.51, 18.3), ("grid", 4.01, 10, 1.0, 13.3)]
)
def test_the_ratios_of_the_paper(reference, value, problems, low, high):
    assert DATA is not None, "else it is skipped"
    comparison = gather([DATA], reference=reference)
    (mean,) = (mean for mean in comparison.means if mean.strategy == "bayes")
    assert mean.value == pytest.approx(value, abs=0.005)
    assert (mean.problems, mean.of) == (problems, 12)
    assert mean.low == pytest.approx(low, abs=0.005)
    assert mean.high == pytest.approx(high, abs=0.05)
