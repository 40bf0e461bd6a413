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
    the_member,
    with_input,
)

NUMBERS = count(1)  # for names and movies that differ between requests


def mutation(name: str, kind: str, selection: str = "__typename") -> str:
    return f"mutation($i:{kind}!){{{name}(input:$i){{{selection}}}}}"


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


def rated_movie(rig: Rig) -> Variables:
    movie = global_id("Movie", 400 + next(NUMBERS) % 300)
    document = mutation("rateMovie", "RateMovieInput")
    rig.client.post(document, {"i": {"movieId": movie, "stars": 4.0}}, rig.member)
    return {"movieId": movie}


def open_night(rig: Rig) -> Variables:
    answer = rig.client.post("mutation{openNight{night{code}}}", {}, rig.member)
    return {"code": answer["data"]["openNight"]["night"]["code"]}


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
    "Mutation.openNight": Operation("mutation{openNight{__typename}}", as_member(), times=10),
    "Mutation.joinNight": Operation(
        mutation("joinNight", "JoinNightInput"), with_input(open_night, Rig.sign_up), times=6
    ),
    "Mutation.leaveNight": Operation("mutation{leaveNight{__typename}}", as_member(), times=10),
    "Mutation.replayDeadLetters": Operation(
        mutation("replayDeadLetters", "ReplayDeadLettersInput"), as_admin(i={}), times=6
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
}
