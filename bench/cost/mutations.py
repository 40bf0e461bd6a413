"""Operations of mutations, each with input that it accepts."""

import json
from itertools import count

from bench.cost.accounts import PASSWORD, Rig, event, global_id, history_file
from bench.cost.operation import (
    Operation,
    Request,
    Variables,
    as_admin,
    as_member,
    as_new_member,
    the_admin,
    the_member,
    with_input,
)

NUMBERS = count(1)  # for names and movies that differ between requests


def mutation(name: str, kind: str, selection: str = "__typename") -> str:
    return f"mutation($i:{kind}!){{{name}(input:$i){{{selection}}}}}"


def movie_to_add(number: int) -> Variables:
    names = [f"Person {number} {place}" for place in range(20)]
    return {
        "title": f"A Movie {number}",
        "year": 2020,
        "genres": ["Drama"],
        "directors": names[:1],
        "cast": names,
    }


def to_upsert(number: int) -> Variables:
    return {**movie_to_add(number), "externalId": str(number)}


def added_movie(rig: Rig) -> str:
    """Add a movie and return its id."""
    document = mutation("addMovie", "AddMovieInput", "... on AddMoviePayload{movie{id}}")
    data = rig.client.post(document, {"i": movie_to_add(next(NUMBERS))}, rig.admin)["data"]
    movie_id: str = data["addMovie"]["movie"]["id"]
    return movie_id


def visitor(number: int) -> Variables:
    """A visitor with as many choices as can be taken over."""
    movies = [global_id("Movie", key) for key in range(1, 501)]
    return {"visitorId": f"v-{number}", "likes": movies[:400], "dislikes": movies[400:]}


def rows_of_members(kind: str, name: str, value: float) -> str:
    """A batch of 10,000 rows of 1,000 members."""
    rows = (
        {
            "kind": kind,
            "user": f"u-{n % 1_000}",
            "movie": {"id": global_id("Movie", 1 + n // 1_000)},
            name: value,
        }
        for n in range(10_000)
    )
    return "\n".join(json.dumps(row) for row in rows)


def other_session(rig: Rig) -> Request:
    """End one of two sessions of a new member."""
    member = rig.sign_up()
    rig.log_in(member)
    query = "{viewer{sessions(first:5){edges{node{id isCurrent}}}}}"
    edges = rig.client.post(query, {}, member)["data"]["viewer"]["sessions"]["edges"]
    session = next(edge["node"]["id"] for edge in edges if not edge["node"]["isCurrent"])
    return Request({"i": {"sessionId": session}}, member)


def preference(rig: Rig) -> Variables:
    return {"subject": {"genreId": rig.genre_ids[next(NUMBERS) % len(rig.genre_ids)]}}


def promotion() -> Variables:
    return {"kind": "PIN", "subject": {"movieId": global_id("Movie", 1 + next(NUMBERS) % 300)}}


def begun_promotion(rig: Rig) -> str:
    """Begin a promotion and return its id."""
    document = mutation("promote", "PromoteInput", "... on PromotePayload{promotion{id}}")
    data = rig.client.post(document, {"i": promotion()}, rig.admin)["data"]
    promotion_id: str = data["promote"]["promotion"]["id"]
    return promotion_id


def created_key(rig: Rig) -> Variables:
    document = mutation("createApiKey", "CreateApiKeyInput", "... on CreateApiKeyPayload{apiKey{id}}")
    data = rig.client.post(document, {"i": {"name": "bench", "scopes": ["READ"]}}, rig.admin)["data"]
    return {"apiKeyId": data["createApiKey"]["apiKey"]["id"]}


def rated_movie(rig: Rig) -> Variables:
    movie = global_id("Movie", 400 + next(NUMBERS) % 300)
    document = mutation("rateMovie", "RateMovieInput")
    rig.client.post(document, {"i": {"movieId": movie, "stars": 4.0}}, rig.member)
    return {"movieId": movie}


def active_version(rig: Rig) -> Variables:
    data = rig.client.post("{activeModel{version}}", {}, rig.admin)["data"]
    return {"version": data["activeModel"]["version"]}


def activated_another(rig: Rig) -> Variables:
    """Activate the other of two models, so that there is one to go back to."""
    assert rig.trained_job
    active = active_version(rig)["version"]
    query = "{models(first:2){edges{node{version}}}}"
    edges = rig.client.post(query, {}, rig.admin)["data"]["models"]["edges"]
    other = next(edge["node"]["version"] for edge in edges if edge["node"]["version"] != active)
    document = mutation("activateModel", "ActivateModelInput")
    rig.client.post(document, {"i": {"version": other}}, rig.admin)
    return {"activeVersion": other}


MUTATIONS: dict[str, Operation] = {
    "Mutation.signUp": Operation(
        mutation("signUp", "SignUpInput"),
        lambda rig: Request({"i": {"username": f"new-{next(NUMBERS)}-{rig.name}", "password": PASSWORD}}),
        times=6,
    ),
    "Mutation.logIn": Operation(
        mutation("logIn", "LogInInput"),
        lambda rig: Request({"i": {"username": rig.member.username, "password": PASSWORD}}),
        times=6,
    ),
    "Mutation.refreshSession": Operation(
        mutation("refreshSession", "RefreshSessionInput"),
        lambda rig: Request({"i": {"refreshToken": rig.log_in(rig.member).refresh_token}}),
        times=6,
    ),
    "Mutation.logOut": Operation("mutation{logOut{__typename}}", as_new_member(), times=6),
    "Mutation.setFavoriteGenres": Operation(
        mutation("setFavoriteGenres", "SetFavoriteGenresInput"),
        with_input(lambda rig: {"genreIds": rig.genre_ids[:5]}, the_member),
        times=10,
    ),
    "Mutation.endSession": Operation(mutation("endSession", "EndSessionInput"), other_session, times=6),
    "Mutation.endOtherSessions": Operation(
        "mutation{endOtherSessions{__typename}}", as_new_member(), times=6
    ),
    "Mutation.endAllSessions": Operation("mutation{endAllSessions{__typename}}", as_new_member(), times=6),
    "Mutation.changePassword": Operation(
        mutation("changePassword", "ChangePasswordInput"),
        as_new_member(i={"currentPassword": PASSWORD, "newPassword": PASSWORD + " again"}),
        times=5,
    ),
    "Mutation.deleteAccount": Operation(
        mutation("deleteAccount", "DeleteAccountInput"), as_new_member(i={"password": PASSWORD}), times=6
    ),
    "Mutation.setPreference": Operation(
        mutation("setPreference", "SetPreferenceInput"),
        with_input(lambda rig: preference(rig) | {"direction": "LESS"}, the_member),
        times=10,
    ),
    "Mutation.removePreference": Operation(
        mutation("removePreference", "RemovePreferenceInput"), with_input(preference, the_member), times=10
    ),
    "Mutation.setDiscoverable": Operation(
        mutation("setDiscoverable", "SetDiscoverableInput"), as_member(i={"discoverable": True}), times=10
    ),
    "Mutation.mergeMember": Operation(
        mutation("mergeMember", "MergeMemberInput"),
        with_input(lambda _: visitor(next(NUMBERS)), Rig.sign_up),
        times=5,
    ),
    "Mutation.createMergeCode": Operation("mutation{createMergeCode{__typename}}", as_member(), times=10),
    "Mutation.upsertRatings": Operation(
        mutation("upsertRatings", "UpsertRatingsInput"),
        lambda rig: Request({"i": {"jsonl": rows_of_members("rating", "value", 4.5)}}, rig.acting_key),
        times=3,
    ),
    "MemberRowsPayload.refused": Operation(
        mutation(
            "upsertRatings", "UpsertRatingsInput", "... on MemberRowsPayload{refused(first:1000){rule}}"
        ),
        lambda rig: Request({"i": {"jsonl": "nonsense\n" * 1_000}}, rig.acting_key),
        times=3,
    ),
    "Mutation.recordFeedback, members": Operation(
        mutation("recordFeedback", "RecordFeedbackInput"),
        lambda rig: Request({"i": {"jsonl": rows_of_members("watch", "fraction", 0.5)}}, rig.acting_key),
        times=3,
    ),
    "Mutation.rateMovie": Operation(
        mutation("rateMovie", "RateMovieInput"),
        with_input(
            lambda _: {"movieId": global_id("Movie", 1 + next(NUMBERS) % 300), "stars": 3.5}, the_member
        ),
    ),
    "Mutation.removeRating": Operation(
        mutation("removeRating", "RemoveRatingInput"), with_input(rated_movie, the_member), times=10
    ),
    "Mutation.recordFeedback": Operation(
        mutation("recordFeedback", "RecordFeedbackInput"),
        with_input(lambda _: {"events": [event(n) for n in range(500)]}, the_member),
        times=6,
    ),
    "Mutation.recordFeedback, 1": Operation(
        mutation("recordFeedback", "RecordFeedbackInput"),
        with_input(lambda _: {"events": [event(2)]}, the_member),
    ),
    "Mutation.removeFeedback": Operation(
        mutation("removeFeedback", "RemoveFeedbackInput"),
        with_input(
            lambda _: {"movieId": global_id("Movie", 1 + next(NUMBERS)), "kinds": ["LIKE"]}, the_member
        ),
        times=10,
    ),
    "Mutation.removeFromWatchlist": Operation(
        mutation("removeFromWatchlist", "RemoveFromWatchlistInput"),
        with_input(lambda _: {"movieId": global_id("Movie", 1 + next(NUMBERS))}, the_member),
        times=10,
    ),
    "Mutation.importRatings": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rated}"),
        with_input(lambda rig: {"csv": history_file(rig.titles, 300), "source": "LETTERBOXD"}, Rig.sign_up),
        times=3,
    ),
    "Mutation.importRatings, unknown": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rated}"),
        with_input(lambda _: {"csv": history_file([("Nowhere to be found", 1999)], 5_000)}, Rig.sign_up),
        times=3,
    ),
    "ImportRatingsPayload.skipped": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{skipped{line reason}}"),
        with_input(lambda _: {"csv": history_file([("Nowhere to be found", 1999)], 1_000)}, Rig.sign_up),
        times=3,
    ),
    "ImportRatingsPayload.skippedCount": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{skippedCount}"),
        with_input(lambda _: {"csv": history_file([("Nowhere to be found", 1999)], 10)}, Rig.sign_up),
        times=5,
    ),
    "ImportRatingsPayload.rows": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rows{line}}"),
        with_input(lambda rig: {"csv": history_file(rig.titles, 100), "source": "LETTERBOXD"}, Rig.sign_up),
        times=3,
    ),
    "ImportedRow.movie": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rows{movie{title}}}"),
        with_input(lambda rig: {"csv": history_file(rig.titles, 100), "source": "LETTERBOXD"}, Rig.sign_up),
        times=3,
    ),
    "Mutation.setRole": Operation(
        mutation("setRole", "SetRoleInput"),
        with_input(lambda rig: {"username": rig.member.username, "role": "USER"}, the_admin),
        times=10,
    ),
    "Mutation.deleteUser": Operation(
        mutation("deleteUser", "DeleteUserInput"),
        with_input(lambda rig: {"username": rig.sign_up().username}, the_admin),
        times=5,
    ),
    "Mutation.createApiKey": Operation(
        mutation("createApiKey", "CreateApiKeyInput"),
        with_input(lambda _: {"name": "bench", "scopes": ["READ"]}, the_admin),
        times=10,
    ),
    "Mutation.revokeApiKey": Operation(
        mutation("revokeApiKey", "RevokeApiKeyInput"), with_input(created_key, the_admin), times=6
    ),
    "Mutation.addMovie": Operation(
        mutation("addMovie", "AddMovieInput"),
        with_input(lambda _: movie_to_add(next(NUMBERS)), the_admin),
        times=5,
    ),
    "Mutation.updateMovie": Operation(
        mutation("updateMovie", "UpdateMovieInput"),
        with_input(lambda rig: {"movieId": added_movie(rig), "year": 2019}, the_admin),
        times=5,
    ),
    "Mutation.deleteMovie": Operation(
        mutation("deleteMovie", "DeleteMovieInput"),
        with_input(lambda rig: {"movieId": added_movie(rig)}, the_admin),
        times=5,
    ),
    "Mutation.upsertMovies": Operation(
        mutation("upsertMovies", "UpsertMoviesInput"),
        with_input(lambda _: {"source": "bench", "movies": [to_upsert(next(NUMBERS))]}, the_admin),
        times=5,
    ),
    "Mutation.upsertMovies, 300": Operation(
        mutation("upsertMovies", "UpsertMoviesInput"),
        with_input(
            lambda _: {"source": "bench", "movies": [to_upsert(next(NUMBERS)) for _ in range(300)]}, the_admin
        ),
        times=3,
    ),
    "Mutation.deleteMovies": Operation(
        mutation("deleteMovies", "DeleteMoviesInput"),
        with_input(lambda rig: {"movies": [{"movieId": added_movie(rig)}]}, the_admin),
        times=5,
    ),
    "Mutation.setMovieHidden": Operation(
        mutation("setMovieHidden", "SetMovieHiddenInput"),
        with_input(lambda rig: {"movieId": added_movie(rig), "hidden": True}, the_admin),
        times=5,
    ),
    "Mutation.promote": Operation(
        mutation("promote", "PromoteInput"), with_input(lambda _: promotion(), the_admin), times=10
    ),
    "Mutation.withdrawPromotion": Operation(
        mutation("withdrawPromotion", "WithdrawPromotionInput"),
        with_input(lambda rig: {"promotionId": begun_promotion(rig)}, the_admin),
        times=10,
    ),
    "Mutation.activateModel": Operation(
        mutation("activateModel", "ActivateModelInput"), with_input(active_version, the_admin), times=3
    ),
    "Mutation.rollbackModel": Operation(
        mutation("rollbackModel", "RollbackModelInput"), with_input(activated_another, the_admin), times=3
    ),
    "Mutation.trainModel": Operation(mutation("trainModel", "TrainModelInput"), as_admin(i={}), times=5),
}
