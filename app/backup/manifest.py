"""The manifest of a dump: its format, revision, moment, and each file with its size and checksum."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

FORMAT = 1
NAME = "manifest.json"
MAX_BYTES = 10_000_000

Identifier = Annotated[str, Field(pattern="^[a-z_][a-z0-9_]{0,62}$")]
FileName = Annotated[str, Field(pattern=r"^(model/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$")]


class BackupError(Exception):
    """A dump that cannot be written or restored. The message has the reason and the remedy."""


class DumpedFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: FileName
    size: NonNegativeInt
    sha256: str

    @classmethod
    def of(cls, folder: Path, name: str) -> "DumpedFile":
        path = folder / name
        return cls(name=name, size=path.stat().st_size, sha256=digest_of(path))


class Table(BaseModel):
    """A table as JSON lines, compressed with Zstandard: an object for each row, by primary key."""

    model_config = ConfigDict(frozen=True)

    name: Identifier
    columns: Annotated[list[Identifier], Field(min_length=1)]
    rows: NonNegativeInt
    file: DumpedFile


class Sequence(BaseModel):
    """The last number that was given to a column; None if none was."""

    model_config = ConfigDict(frozen=True)

    table: Identifier
    column: Identifier
    last: NonNegativeInt | None


class DumpedModel(BaseModel):
    """The active model: its version and the files of its folder."""

    model_config = ConfigDict(frozen=True)

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$")]
    files: list[DumpedFile]


class Manifest(BaseModel):
    """All about a dump. `marquee`: the version of the program. `revision`: of the database."""

    model_config = ConfigDict(frozen=True)

    format: int
    marquee: str
    revision: str
    taken_at: datetime
    credentials: bool
    tables: list[Table]
    sequences: list[Sequence]
    model: DumpedModel | None

    def files(self) -> list[DumpedFile]:
        return [table.file for table in self.tables] + ([] if self.model is None else self.model.files)


def read(folder: Path) -> Manifest:
    """Read the manifest of a dump. Raises BackupError."""
    path = folder / NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BackupError(f"{path} has more than {MAX_BYTES} bytes, so it is no manifest.")
        found = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BackupError(f"{folder} is not a dump: {NAME} cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise BackupError(f"{path} is damaged: {place}: {fault['msg']}.") from None
    if found.format != FORMAT:
        raise BackupError(
            f"{folder} has format {found.format}, and this release reads format {FORMAT}: use release "
            f"{found.marquee} or a later one."
        )
    return found


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare each file with its size and checksum. Raises BackupError."""
    for file in manifest.files():
        path = folder / file.name
        try:
            intact = path.stat().st_size == file.size and digest_of(path) == file.sha256
        except OSError as error:
            raise BackupError(f"{path} cannot be read ({error.strerror}). Nothing is restored.") from None
        if not intact:
            raise BackupError(f"{path} is damaged: its checksum differs. Nothing is restored.")


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
