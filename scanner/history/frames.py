"""Arrow tables to DataFrames whose columns have the types that `docs/history.md` promises."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from scanner.history.schema import FLAG, OPTIONAL_COUNT, TEXTS, Column, Table

_EXTENSION_TYPES = {OPTIONAL_COUNT: pd.Int32Dtype(), FLAG: pd.BooleanDtype()}


def frame(rows: pa.Table, table: Table | None = None) -> pd.DataFrame:
    """The rows as a DataFrame. Text of few different values and fixed vocabularies become categoricals.

    Columns that the table does not have keep the type that they came with.
    """
    known = {column.name: column for column in table.columns} if table else {}
    return pd.DataFrame({name: _series(rows.column(name), known.get(name)) for name in rows.column_names})


def _series(values: pa.ChunkedArray, column: Column | None) -> Any:
    if column is not None and column.type == TEXTS:
        return pd.Series(values.to_pylist(), dtype=object)
    if column is not None and column.categorical and not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    if pa.types.is_dictionary(values.type) and any(chunk.dictionary.null_count for chunk in values.chunks):
        # The engine makes such dictionaries of columns that an older version did not write.
        values = values.cast(values.type.value_type).dictionary_encode()
    series = values.unify_dictionaries().to_pandas(types_mapper=_EXTENSION_TYPES.get, date_as_object=False)
    return _ordered(series, column) if column is not None and column.categorical else series


def _ordered(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """The categories in the order of the vocabulary, or of the alphabet; values that are new to it come last."""
    known = [str(value) for value in column.vocabulary]
    others = sorted(set(series.cat.categories) - set(known))
    return series.cat.set_categories(known + others, ordered=column.ordered)
