"""Arrow tables to DataFrames whose columns have the types that `docs/history.md` promises."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from scanner.history.schema import FLAG, OPTIONAL_COUNT, TEXTS, Column, Table

_EXTENSION_TYPES = {OPTIONAL_COUNT: pd.Int32Dtype(), FLAG: pd.BooleanDtype()}


def frame(rows: pa.Table, table: Table) -> pd.DataFrame:
    """The rows as a DataFrame. Text of few different values and fixed vocabularies become categoricals."""
    return pd.DataFrame({name: _series(rows.column(name), table.column(name)) for name in rows.column_names})


def _series(values: pa.ChunkedArray, column: Column) -> Any:
    if column.type == TEXTS:
        return pd.Series(values.to_pylist(), dtype=object)
    series = values.unify_dictionaries().to_pandas(types_mapper=_EXTENSION_TYPES.get, date_as_object=False)
    return _with_vocabulary(series, column) if column.vocabulary else series


def _with_vocabulary(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """All the values that there can be, in their order; then any that this version does not know."""
    known = [str(value) for value in column.vocabulary]
    unknown = sorted(set(series.cat.categories) - set(known))
    return series.cat.set_categories(known + unknown, ordered=column.ordered)
