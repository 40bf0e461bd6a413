"""Keywords that a reason may name, in the vocabulary of TMDB and in others."""

from recommender.keywords import curation

PEOPLE = ("Tom Cruise", "Mary Shelley", "Heist", "Buster Keaton")
TELLING = ("time travel", "Film Noir", "samurai", "coming-of-age", "Heists", "world war ii")
WITHHELD = (
    "broom", "imdb top 250", "twist ending", "self sacrifice", "tom cruise", "duringcreditsstinger",
    "death of a friend", "woman director", "based on novel", "murder", "3d", "rope", "key",
)  # fmt: skip


def _catalog(*keywords: str, movies: int = 4) -> list[tuple[str, ...]]:
    return [tuple(keywords) for _ in range(movies)] + [()] * 200


def test_only_listed_keywords_are_named_in_a_familiar_vocabulary() -> None:
    found = curation.named(_catalog(*TELLING, *WITHHELD, "clockwork"), PEOPLE)
    assert found == {*TELLING, "heist"} - {"heist"}


def test_an_unknown_vocabulary_is_limited_by_form_and_frequency() -> None:
    unknown = ("clockwork", "river pilots", "volkslied")
    rare, frequent, remarks = "once only", "everywhere", ("zzz 2004", "x", "a b c d", "best drama awards")
    names = ("Mary Keaton", "buster keaton")
    movies = _catalog(*unknown, *WITHHELD, *remarks, *names, *[frequent]) + [(rare,)] + [(frequent,)] * 60
    assert curation.named(movies, PEOPLE) == set(unknown)


def test_the_lists_are_disjoint_sorted_and_without_names_of_form() -> None:
    for file in ("telling.txt", "withheld.txt"):
        lines = (curation.FOLDER / file).read_text("utf-8").splitlines()
        assert lines == sorted(set(lines)), file
    assert not curation.TELLING & curation.WITHHELD


def test_keywords_of_most_movies_and_names_of_people_are_not_named() -> None:
    movies = [("time travel", "samurai")] * 30 + [("samurai", "heist")] * 5 + [()] * 100
    assert curation.named(movies, PEOPLE) == set()
    assert curation.named([("heist",), ("samurai",)], PEOPLE) == {"samurai"}
