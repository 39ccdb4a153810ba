"""Rows as a pandas DataFrame, where pandas is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError

if TYPE_CHECKING:
    import pandas


def data_frame(rows: Iterable[Mapping[str, Any]]) -> pandas.DataFrame:
    """A frame with a column for every key.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ModuleNotFoundError:
        raise UsageError("a data frame needs pandas: pip install pandas (result.to_dict() works without)") from None
    return DataFrame.from_records([dict(row) for row in rows])
