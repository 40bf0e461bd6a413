"""Operations of mutations of curators and administrators, each with input that it accepts."""

from bench.cost.accounts import Rig, global_id
from bench.cost.mutations import NUMBERS, mutation
from bench.cost.operation import (
    Operation,
    Variables,
    as_admin,
    the_admin,
    with_input,
)


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


def active_version(rig: Rig) -> Variables:
    answer = rig.client.post("{activeModel{version}}", {}, rig.admin)
    assert "errors" not in answer, answer["errors"]
    return {"version": answer["data"]["activeModel"]["version"]}


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


OPERATOR_MUTATIONS: dict[str, Operation] = {
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
    # The last one: it makes the catalog half as large again, and each later change slower.
    "Mutation.upsertMovies, 300": Operation(
        mutation("upsertMovies", "UpsertMoviesInput"),
        with_input(
            lambda _: {"source": "bench", "movies": [to_upsert(next(NUMBERS)) for _ in range(300)]}, the_admin
        ),
        times=3,
    ),
}
