"""Show the settings that apply: `marquee settings`."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.database import read_settings
from app.cli.options import Json, show
from app.settings.effective import Origin, effective

app = typer.Typer()


@app.command()
def settings(
    json: Json = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are set.")] = False,
) -> None:
    """Show the settings that apply here, with their origin and without secrets."""
    found = effective(read_settings())
    if changed:
        found = [setting for setting in found if setting.source is not Origin.DEFAULT]
    if json:
        show([asdict(setting) for setting in found], json=True)
        return
    table = Table("setting", "value", "source", box=None, pad_edge=False)
    for setting in found:
        value = "(secret)" if setting.is_secret and setting.source is not Origin.DEFAULT else setting.value
        table.add_row(setting.name, value or "", setting.source.lower())
    Console(markup=False, highlight=False).print(table)
