"""Layouts of many sites and programs: archives, JSON, encodings, and columns named by the client."""

import bz2
import gzip
import io
import lzma
import tomllib
import zipfile
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

from app.ingest import history_files
from app.ingest.layouts import InvalidHistory, Source, columns_of, named_layout, plain, translated
from app.ingest.pieces import at_once
from app.ingest.rows import Contents, History, Order, Row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RATINGS = "Date,Name,Year,Letterboxd URI,Rating\n2020-01-01,Alien,1979,x,4.5\n"
LIST = "Date,Name,Year,Letterboxd URI\n2021-02-01,Heat,1995,x\n"


def read(csv: str | None = None, file: bytes | None = None, **order: Any) -> History:
    encoded = None if file is None else b64encode(file).decode()
    return at_once(history_files.read(csv, encoded, Order(**order), NOW))


def facts(row: Row) -> tuple[Any, ...]:
    return "".join(row.titles[:1]), row.year, row.half_stars, row.contents, str(row.at)[:10]


def zipped(files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize("folder", ["", "letterboxd-someone-2026-01-01/"])
def test_a_whole_export_of_letterboxd(folder: str) -> None:
    files = {
        "profile.csv": "Date Joined,Username\n2020-01-01,someone\n",
        "ratings.csv": RATINGS,
        "watched.csv": LIST,
        "watchlist.csv": LIST.replace("Heat,1995", "Solaris,1972"),
        "likes/films.csv": LIST.replace("Heat,1995", "Alien,1979"),
        "likes/reviews.csv": "x",
        "diary.csv": "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n"
        "2022-01-01,Alien,1979,x,1,,,2021-12-31\n",
        "deleted/diary.csv": RATINGS,
        "orphaned/watched.csv": LIST,
        "lists/one.csv": "Letterboxd list export v7\n",
    }
    history = read(file=zipped({folder + name: text for name, text in files.items()}))
    assert (history.source, history.skipped) == (Source.LETTERBOXD, [])
    assert {((row.file or "").removeprefix(folder), row.rank, *facts(row)) for row in history.rows} == {
        ("ratings.csv", 1, "Alien", 1979, 9, None, "2020-01-01"),
        ("watched.csv", 0, "Heat", 1995, None, Contents.WATCHED, "2021-02-01"),
        ("watchlist.csv", 0, "Solaris", 1972, None, Contents.WATCHLIST, "2021-02-01"),
        ("likes/films.csv", 0, "Alien", 1979, None, Contents.LIKED, "2021-02-01"),
        ("diary.csv", 0, "Alien", 1979, 2, None, "2022-01-01"),
    }


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings_are_recognized(encoding: str) -> None:
    text = RATINGS.replace("Alien", "Amélie")
    assert [facts(row)[0] for row in read(file=text.encode(encoding)).rows] == ["Amélie"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_a_compressed_file_is_read_within_limits(compress: Callable[[bytes], bytes]) -> None:
    assert read(file=compress(RATINGS.encode())) == read(RATINGS)
    with pytest.raises(InvalidHistory, match="more than 12000000 bytes"):
        read(file=compress(bytes(13_000_000)))
    with pytest.raises(InvalidHistory, match="damaged"):
        read(file=compress(RATINGS.encode())[:-9])


@pytest.mark.parametrize("start", [lzma.compress(b"x"), b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"%PDF-1.4"])
def test_other_formats_are_refused_by_name(start: bytes) -> None:
    with pytest.raises(InvalidHistory, match=r"The file is (compressed with|a) .*: send CSV"):
        read(file=start + RATINGS.encode())


def test_base64_may_have_lines_or_be_a_data_url() -> None:
    encoded = b64encode(RATINGS.encode()).decode()
    lines = "\n".join(encoded[at : at + 20] for at in range(0, len(encoded), 20))
    for file in (lines, f"data:text/csv;base64,{encoded}"):
        assert len(at_once(history_files.read(None, file, Order(), NOW)).rows) == 1


LAYOUTS = [
    (Source.LETTERBOXD, "sep=;\nDate;Name;Year;Letterboxd URI;Rating\n2020-01-01;Alien;1979;x;4,5\n"),
    (Source.LETTERBOXD, "\n\n" + RATINGS),
    (
        Source.LETTERBOXD,
        "WatchedDate,tmdbID,imdbID,Title,Year,Rating10\n2020-01-01,348,tt0078748,Alien,1979,9\n",
    ),
    (Source.LETTERBOXD, RATINGS.replace("4.5", "★★★★½")),
    (Source.LETTERBOXD, RATINGS.replace(",", "\t")),
    (
        Source.TMDB,
        (
            "TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Episode Number,Rating,Your Rating,"
            "Date Rated\n348,tt0078748,movie,Alien,1979-05-25T00:00:00Z,,,7.229,9.0,2020-01-01T00:00:00Z\n"
        ),
    ),
    (
        Source.SIMKL,
        (
            "simkl_id,TVDB_ID,TMDB,IMDB_ID,MAL_ID,Type,Title,Year,LastEpWatched,Watchlist,WatchedDate,"
            "Rating,Memo\n1,,348,tt0078748,,movie,Alien,1979,,completed,2020-01-01,9,\n"
        ),
    ),
    (
        Source.IMDB,
        (
            "position,const,created,modified,description,Title,Title type,Directors,You rated,Year\n"
            "1,tt0078748,Wed Jan 1 00:00:00 2020,,,Alien,Feature Movie,,9,1979\n"
        ),
    ),
]


@pytest.mark.parametrize(("source", "text"), LAYOUTS)
def test_more_layouts_of_csv(source: Source, text: str) -> None:
    history = read(text)
    assert (history.source, history.skipped) == (source, [])
    assert [facts(row) for row in history.rows] == [("Alien", 1979, 9, None, "2020-01-01")]


def test_a_letterboxd_list_starts_at_its_header() -> None:
    text = (
        "Letterboxd list export v7\nDate,Name,Tags,URL,Description\n2024-01-01,For a rainy day,,https://x,\n\n"
        "Position,Name,Year,URL,Description\n1,Alien,1979,https://x,\n2,Heat,1995,https://y,\n"
    )
    history = read(text, contents=Contents.LIKED, source=Source.LETTERBOXD)
    assert [(row.line, row.titles[0], row.contents) for row in history.rows] == [
        (6, "Alien", Contents.LIKED),
        (7, "Heat", Contents.LIKED),
    ]


@pytest.mark.parametrize(
    ("rating", "scale", "half_stars"),
    [
        ("90", 100, 9),
        ("7", 100, 1),
        ("100", 100, 10),
        ("85%", 5, 9),
        ("8/10", 5, 8),
        ("10/10", 5, 10),
        ("4,5", 5, 9),
        ("★★★½", 10, 7),
        ("\u2b50\ufe0f\u2b50\ufe0f\u2b50\ufe0f", 10, 6),
        ("4 1/2", 5, 9),
        ("1/2", 5, None),
        ("3.7", 5, 7),
        ("3.75", 5, 8),
        ("6", 5, None),
        ("-1", 5, None),
        ("A+", 5, None),
        ("1,000", 1000, None),
        ("1_0", 10, None),
        ("٤", 5, None),
        ("inf", 5, None),
        ("11/10", 5, None),
    ],
)
def test_columns_named_by_the_client(rating: str, scale: float, half_stars: int | None) -> None:
    text = f'Movie name;My score;Seen on;Year;Rating\n\nAlien;"{rating}";31/12/2019;1979;1.0\n'
    columns = {"title": "movie name", "rating": "My Score", "year": "Year", "rated_at": "Seen on"}
    history = read(text, layout=named_layout(columns, scale), scale=scale)
    (row,) = history.rows
    assert history.source is Source.OTHER
    assert (row.half_stars, row.fault) == (
        half_stars,
        "" if half_stars else f"{rating} is not a rating on the scale.",
    )
    assert str(row.at)[:10] == ("2019-12-31" if half_stars else "None")


def test_named_columns_need_a_movie_and_a_scale_for_ratings() -> None:
    with pytest.raises(InvalidHistory, match="ratingScale"):
        named_layout({"title": "a", "rating": "b"}, None)
    with pytest.raises(InvalidHistory, match="neither a title nor an id"):
        named_layout({"year": "a"}, None)
    with pytest.raises(InvalidHistory, match=r"Columns found: a, b\. Missing: c\."):
        read("a,b\n1,2\n", layout=named_layout({"title": "a", "imdb_id": "C"}, None))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"csv": "a,b\n1,2\n"}, "Columns found: a, b. Known exports: Letterboxd .*`columns`"),
        ({"csv": '{"a": 1}'}, "The JSON is not a known export.*Names found: a."),
        ({"csv": "[1, 2"}, "neither CSV nor JSON"),
        ({"csv": "[" * 2000 + "]" * 2000}, "neither CSV nor JSON"),
        ({"csv": "[" + "0," * 300_001 + "0]"}, "300000 values"),
        (
            {"csv": "Const,Nota voto\ntt0078748,9\n", "contents": Contents.WATCHED},
            "'notavoto' may hold ratings",
        ),
        (
            {"csv": RATINGS + '2020-01-01,"Heat,1995,x,4\n2020-01-01,Solaris,1972,x,4\n'},
            "quote .* line 3 is not closed",
        ),
        ({"csv": "Const,Your Rating\n" + "x" * 100_001}, "Line 2 has more than 100000 characters"),
        ({"csv": ",".join(["a"] * 201)}, "Line 1 has more than 200 columns"),
        ({"csv": "N\0a\0m\0e\0"}, "NUL characters"),
        ({}, "either the text"),
        ({"csv": RATINGS, "file": RATINGS.encode()}, "either the text"),
        ({"file": zipped({"a.csv": "x", "b.csv": "y"})}, "Files found: a.csv, b.csv"),
        ({"file": zipped({"[Content_Types].xml": "x"})}, "Files found"),
        ({"file": zipped({str(i): "" for i in range(1001)})}, "1000 files"),
        ({"file": zipped({"ratings.csv": "0" * 12_000_001})}, "12000000 bytes"),
        ({"file": zipped({"ratings.csv": "0" * 3_000_001})}, "ratings.csv: The file has more than 3000000"),
        ({"file": zipped({"ratings.csv": RATINGS}, zipfile.ZIP_LZMA)}, "not compressed with deflate"),
        ({"file": zipped({"ratings.csv": RATINGS})[:-30]}, "cut off"),
        ({"file": zipped({"ratings.csv": RATINGS}).replace(b"PK\x01\x02", b"PK\x01\x03")}, "damaged"),
        ({"file": b"PK\x03\x04" + b"x" * 100}, "cut off"),
        ({"file": b"\xff\xfe\x00\xd8\x00"}, "neither text nor a zip archive"),
    ],
)
def test_invalid_files_are_explained(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidHistory, match=message):
        read(**arguments)


def test_invalid_base64() -> None:
    for file in ("%%%", "abc", "é"):
        with pytest.raises(InvalidHistory, match="not Base64"):
            at_once(history_files.read(None, file, Order(), NOW))


@pytest.mark.parametrize(
    "header",
    [
        "Const,Ihre Bewertung,Bewertet am,Titel,Originaltitel,Titeltyp,IMDb-Bewertung,Jahr",
        "Const,Votre note,Date de la note,Titre,Titre original,Type de titre,Note IMDb,Année",
        "Const,Tu calificación,Fecha de voto,Título,Título original,Tipo de título,Nota IMDb,Año",
        "Const,Il tuo voto,Data del voto,Titolo,Titolo originale,Tipo di titolo,Voto IMDb,Anno",
        "Const,Sua avaliação,Data da avaliação,Título,Título original,Tipo de título,Avaliação IMDb,Ano",
        "Const,JOUW BEOORDELING,Datum beoordeeld,Titel,Originele titel,Type titel,IMDb,Jaar",
        "Const,आपकी रेटिंग,रेटिंग की तारीख,शीर्षक,मूल शीर्षक,शीर्षक का प्रकार,IMDb रेटिंग,वर्ष",
        "Const,Twoja ocena,Data oceny,Tytuł,Tytuł oryginalny,Typ tytułu,Ocena IMDb,Rok",
        "Const,Ditt betyg,Betygsdatum,Titel,Originaltitel,Titelns typ,IMDb-betyg,År",
        "Const,Din vurdering,Vurderingsdato,Tittel,Originaltittel,Titteltype,IMDb-vurdering,År",
        "Const,Din bedømmelse,Bedømmelsesdato,Titel,x,Titeltype,IMDb-bedømmelse,År",
        "Const,Arviosi,Arviointipäivä,Nimi,Alkuperäinen nimi,Tyyppi,IMDb-arvio,Vuosi",
        "Const,Puanınız,Puanlama tarihi,Başlık,Orijinal başlık,Başlık türü,IMDb puanı,Yıl",
        "Const,Vaše hodnocení,Datum hodnocení,Název,Původní název,Typ,Hodnocení IMDb,Rok",
        "Const,Az Ön értékelése,Értékelés dátuma,Cím,Eredeti cím,Típus,IMDb értékelés,Év",
        "Const,Evaluarea ta,Data evaluării,Titlu,Titlu original,Tip,Evaluare IMDb,year",
        "Const,Ваша оценка,Дата оценки,Название,Оригинальное название,Тип,Рейтинг IMDb,Год",
        "Const,Ваша оцінка,Дата оцінки,Назва,Оригінальна назва,Тип,Рейтинг IMDb,Рік",
        "Const,あなたの評価,評価日,タイトル,原題,種類,IMDb評価,年",
        "Const,您的评分,评分日期,标题,原标题,类型,IMDb评分,年份",
        "Const,您的評分,評分日期,標題,原題,類型,IMDb評分,年份",
        "Const,내 평점,평가 날짜,제목,원제,유형,IMDb 평점,연도",
        "Const,تقييمك,تاريخ التقييم,العنوان,العنوان الأصلي,النوع,تقييم IMDb,السنة",
    ],
)
def test_columns_of_imdb_in_other_languages(header: str) -> None:
    row = "tt0078748,9,2020-01-31,Alien,Alien,Film,8.5,1979"
    history = read(f"{header}\n{row}\n")
    assert (history.source, history.skipped) == (Source.IMDB, [])
    assert [facts(row) for row in history.rows] == [("Alien", 1979, 9, None, "2020-01-31")]


def test_each_translated_name_has_one_meaning() -> None:
    table = tomllib.loads(files("app.ingest").joinpath("translated_columns.toml").read_text("utf-8"))
    meanings: dict[str, str] = {}
    for english, names in table.items():
        for name in filter(None, map(str.strip, names.split(","))):
            assert meanings.setdefault(plain(name), english) == english, name
            assert translated(columns_of([name])) == {plain(english): 0}


def test_an_unknown_translation_is_refused_and_can_be_named() -> None:
    text = "Const,Einkunn Wertung,Titel,Jahr\ntt0078748,9,Alien,1979\n"
    with pytest.raises(InvalidHistory, match="'einkunnwertung' may hold ratings"):
        read(text)
    columns = {"imdb_id": "Const", "title": "Titel", "rating": "Einkunn Wertung"}
    (row,) = read(text, layout=named_layout(columns, 10), scale=10.0).rows
    assert facts(row) == ("Alien", None, 9, None, "None")


@pytest.mark.parametrize("header", ["Titel,Datum", "Titre,Date", "Título,Fecha", "Titolo,Data", "Title,Date"])
def test_a_viewing_history_of_netflix_in_other_languages(header: str) -> None:
    history = read(f'{header}\n"Alien","31/12/2020"\n')
    assert [facts(row) for row in history.rows] == [("Alien", None, None, Contents.WATCHED, "2020-12-31")]
