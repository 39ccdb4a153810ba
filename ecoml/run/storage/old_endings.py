"""Why trials and searches of version 0.1 ended: it stored sentences, which are translated when a ledger is opened.

The translation keeps the sentence as `message`, which people are shown unchanged.
"""

from __future__ import annotations

import json
import sqlite3

from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd

_OF_TRIALS = (
    ("the budget ended", EndReason.BUDGET),
    ("the target was reached", EndReason.TARGET),
    ("the search ended", EndReason.SEARCH_ENDED),
    ("interrupted", EndReason.INTERRUPTED),
    ("a further step would exceed", EndReason.NEXT_STEP_TOO_MUCH),
    ("it took", EndReason.TOOK_TOO_MUCH),
    ("the accuracy is not a number", FailureKind.DIVERGED),
    ("the accuracy is", FailureKind.OUT_OF_RANGE),
    ("energy_j is", FailureKind.BAD_ENERGY),
)

_OF_SEARCHES = (
    ("the energy budget is spent", StopReason.BUDGET_SPENT),
    ("the target accuracy", StopReason.TARGET_REACHED),
    ("every configuration has been tried", StopReason.EXHAUSTED),
    ("as much energy again", StopReason.NOT_WORTH_IT),
    ("no further feasible", StopReason.NOTHING_FEASIBLE),
    ("interrupted by the user", StopReason.INTERRUPTED),
    ("interrupted", StopReason.ERROR),
)


def translate(connection: sqlite3.Connection) -> None:
    """Fill `trial.ending` and the setting `ended` from the stored sentences."""
    rows = connection.execute("SELECT number, state, failure FROM trial").fetchall()
    for number, state, sentence in rows:
        if (end := _trial_end(state, sentence)) is not None:
            connection.execute("UPDATE trial SET ending = ? WHERE number = ?", (json.dumps(end.to_dict()), number))
    connection.execute("ALTER TABLE trial DROP COLUMN failure")
    row = connection.execute("SELECT value FROM setting WHERE key = 'ended'").fetchone()
    if row is not None and isinstance(sentence := json.loads(row[0]), str):
        end_of_search = _search_end(sentence)
        value = json.dumps(None if end_of_search is None else end_of_search.to_dict())
        connection.execute("UPDATE setting SET value = ? WHERE key = 'ended'", (value,))


def _trial_end(state: str, sentence: str | None) -> TrialEnd | None:
    if state == "finished":
        return TrialEnd(EndReason.FINISHED)
    if not sentence:
        return None
    reason = next((reason for begins, reason in _OF_TRIALS if sentence.startswith(begins)), FailureKind.ERROR)
    if (state == "failed") != isinstance(reason, FailureKind):
        reason = FailureKind.ERROR
    return TrialEnd(reason, {"message": sentence})


def _search_end(sentence: str) -> SearchEnd | None:
    if not sentence:
        return None
    if sentence.endswith("trials were made"):
        reason = StopReason.MAX_TRIALS
    elif "trials in a row failed" in sentence:
        reason = StopReason.FAILURES
    else:
        reason = next((reason for begins, reason in _OF_SEARCHES if sentence.startswith(begins)), StopReason.STRATEGY)
    return SearchEnd(reason, {"message": sentence.removeprefix("interrupted: ")})
