"""Arrow tables to DataFrames whose columns have the types that `docs/history.md` promises."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from scanner.history.schema import FLAG, OPTIONAL_COUNT, TEXTS, Column, Table

_EXTENSION_TYPES = {OPTIONAL_COUNT: pd.Int32Dtype(), FLAG: pd.BooleanDtype()}


def completed(rows: pa.Table, table: Table, columns: tuple[str, ...]) -> pa.Table:
    """Give rows of an older schema the columns that they lack, and defaults where their writer knew no value."""
    arrays = []
    for name in columns:
        column = table.column(name)
        if name not in rows.column_names:
            arrays.append(pa.chunked_array([pa.repeat(pa.scalar(column.default, column.type), len(rows))]))
        elif column.default is not None:
            found = rows.column(name)
            plain = found.cast(column.type) if pa.types.is_dictionary(found.type) else found
            arrays.append(plain.fill_null(pa.scalar(column.default, column.type)))
        else:
            arrays.append(rows.column(name))
    return pa.table(arrays, names=list(columns))


def frame(rows: pa.Table, table: Table) -> pd.DataFrame:
    """The rows as a DataFrame. Text of few different values and fixed vocabularies become categoricals."""
    return pd.DataFrame({name: _series(rows.column(name), table.column(name)) for name in rows.column_names})


def _series(values: pa.ChunkedArray, column: Column) -> Any:
    if column.type == TEXTS:
        return pd.Series(values.to_pylist(), dtype=object)
    if column.categorical:
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        series = values.unify_dictionaries().to_pandas()
        return _with_vocabulary(series, column) if column.vocabulary else series
    return values.to_pandas(types_mapper=_EXTENSION_TYPES.get, date_as_object=False)


def _with_vocabulary(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """All the values that there can be, in their order; then any that this version does not know."""
    known = list(column.vocabulary)
    unknown = sorted(set(series.cat.categories) - set(known))
    return series.cat.set_categories([str(value) for value in known] + unknown, ordered=column.ordered)
