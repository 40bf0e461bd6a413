"""Reports of rows that were not used: counted by reason, with examples, for a terminal of 80 columns."""

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

from seeds.files.report import Report, shown

EXAMPLES = 3  # of a reason; `--verbose` shows all that are kept


def unused_rows(report: Report, *, verbose: bool, width: int | None = None) -> Iterator[str]:
    """Lines: each reason with its number of rows, the most frequent first, and where such rows are.

    `width`: of the terminal, where it is not that of the standard output.
    """
    columns = width or shutil.get_terminal_size((0, 0)).columns
    left = 0
    for verdict, reasons in (("invalid", report.skipped), ("set aside", report.set_aside)):
        for reason, rows in sorted(reasons.items(), key=lambda item: -item[1].count):
            yield wrapped(f"{rows.count:,} rows {verdict}: {reason}", columns)
            examples = rows.samples if verbose else rows.samples[:EXAMPLES]
            left += len(rows.samples) - len(examples)
            for sample in examples:
                where = sample.file if verbose else Path(sample.file).name
                line = f"  {where}, line {sample.line}: {sample.text}"
                yield line if verbose or not columns else shown(line, columns)
    if left:
        yield "More examples: --verbose, or --json."


def wrapped(text: str, columns: int) -> str:
    """Break a text into lines of a terminal; as it is where there is none."""
    return textwrap.fill(text, columns, subsequent_indent="  ") if columns else text
