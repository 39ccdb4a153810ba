"""One run of `benchmarks/chaos.py`: agents and driver are killed and stopped at random moments."""

from __future__ import annotations

import pytest
from chaos import chaos


@pytest.mark.slow
def test_accounts_hold_whatever_is_killed_or_stopped(tmp_path):
    account = chaos(tmp_path, seed=1, longest_s=4.0)
    assert len(account.blows) >= 2
    assert account.faults == []
