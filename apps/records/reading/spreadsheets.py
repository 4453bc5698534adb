"""Excel and OpenDocument spreadsheets (package python-calamine) and Parquet (package pyarrow)."""

import datetime as dt
from collections.abc import Callable
from typing import IO, Any

from apps.records.reading.rows import ImportFileError, Reading, ReadingOptions, Rows, SourceRow, UnreadableRow

PARQUET_BATCH = 500  # rows; also what bounds memory
MAX_HEADER_ROW = 20  # a title may stand above the header


def read_spreadsheet(binary: IO[bytes], options: ReadingOptions, reading: Reading) -> Rows:
    """Yield the rows of the named sheet, else of the first that is not empty, below its header.

    Titles above the header are skipped. Raises ImportFileError.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        workbook = CalamineWorkbook.from_filelike(binary)
        names = workbook.sheet_names
        if options.sheet and options.sheet not in names:
            raise ImportFileError(f"no sheet {options.sheet!r}; there are {', '.join(names)}")
        for name in [options.sheet] if options.sheet else names:
            sheet = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
            if any(any(cell not in ("", None) for cell in row) for row in sheet):
                reading.sheet = name
                yield from _sheet_rows(sheet, reading)
                return
    except CalamineError as error:
        raise ImportFileError(f"the spreadsheet cannot be read: {error}") from error


def _sheet_rows(sheet: list[list[Any]], reading: Reading) -> Rows:
    header = _header_row(sheet)
    names = [str(cell).strip() if cell is not None else "" for cell in sheet[header]]
    reading.columns = list(dict.fromkeys(filter(None, names)))
    for number, cells in enumerate(sheet[header + 1 :], header + 2):
        values: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=False):
            if not name or cell in ("", None):
                continue
            value = _cell(cell)
            values[name] = [values[name], value] if name in values else value
        if values:
            yield SourceRow(number, values)


def _header_row(sheet: list[list[Any]]) -> int:
    """The first row with as many texts as any of the first rows has: a title above it has one."""
    widths = [
        sum(isinstance(cell, str) and bool(cell.strip()) for cell in row) for row in sheet[:MAX_HEADER_ROW]
    ]
    return next((number for number, width in enumerate(widths) if width >= max(2, max(widths) * 0.6)), 0)


def _cell(cell: Any) -> Any:
    """A whole number is one: spreadsheets hold all numbers as floats."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, dt.time | dt.timedelta):
        return str(cell)
    return cell


def read_parquet(binary: IO[bytes], reading: Reading, progress: Callable[[int], object]) -> Rows:
    """Yield the rows of a Parquet file; memory does not grow with it. Raises ImportFileError."""
    import pyarrow as pa
    from pyarrow import parquet

    line = 0
    try:
        file = parquet.ParquetFile(binary, pre_buffer=False)
        reading.columns = list(file.schema_arrow.names)
        for batch in file.iter_batches(PARQUET_BATCH):
            yield from _parquet_batch(batch, line)
            line += batch.num_rows
            progress(0)
    except pa.ArrowException as error:
        raise ImportFileError(f"the Parquet file is damaged after row {line:,}: {error}") from error


def _parquet_batch(batch: Any, before: int) -> Rows:
    """The rows of a record batch, of which `before` came before it."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):  # of one value; the others are read one by one
        rows = None
    for number in range(batch.num_rows):
        line = before + number + 1
        if rows is None:
            yield _parquet_row(batch, number, line)
        else:
            yield SourceRow(line, {name: value for name, value in rows[number].items() if value is not None})


def _parquet_row(batch: Any, number: int, line: int) -> SourceRow | UnreadableRow:
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            value = column[number].as_py()
        except (ValueError, OverflowError) as error:
            return UnreadableRow(line, f"{name}: cannot be read: {error}")
        if value is not None:
            values[name] = value
    return SourceRow(line, values)
