"""Signing up, in and out, and a member's own choices."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from app.accounts import authentication, login_throttle, passwords, preferences, usernames
from app.accounts.authentication import Tokens
from app.accounts.viewer import Role
from schema.core.constraints import DECOMPOSED, MAX_ID_LENGTH, Constraint
from schema.core.directives import Cost
from schema.core.errors import CallerError, Error
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.user import User

USERNAME = Constraint(max_length=usernames.MAX_GIVEN_LENGTH)
PASSWORD = Constraint(max_length=DECOMPOSED * passwords.MAX_LENGTH)


@strawberry.input(description="The account to make.")
class SignUpInput:
    username: str = strawberry.field(
        directives=[USERNAME],
        description="2 to 64 letters, digits and characters of `. _ - + @`, beginning with a letter, a digit "
        "or `_`. The letters are of one script; Latin may stand beside Chinese, Japanese or Korean. A name "
        "that differs from another only in capitals, or looks like it, is taken.",
    )
    password: str = strawberry.field(
        directives=[PASSWORD],
        description="8 to 128 characters, 4 of them different; neither the username nor one of the commonest "
        "passwords.",
    )


@strawberry.input(description="The account to sign in to.")
class LogInInput:
    username: str = strawberry.field(directives=[USERNAME], description="The account's name, in any case.")
    password: str = strawberry.field(directives=[PASSWORD], description="Its password.")


@strawberry.input(description="The sign-in to renew.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(
        directives=[Constraint(max_length=200)], description="The newest refresh token of the sign-in."
    )


@strawberry.input(description="A member's favourite genres.")
class SetFavoriteGenresInput:
    genre_ids: list[strawberry.ID] = strawberry.field(
        directives=[Constraint(max_items=50, max_length=MAX_ID_LENGTH), Cost(weight=2)],
        description="All of them, the dearest first; an empty list takes them away.",
    )


@strawberry.type(description="A sign-in: what to send with requests, and what to renew it with.")
class AuthPayload:
    access_token: str = strawberry.field(
        description="Send it as `Authorization: Bearer <accessToken>` until `expiresAt`."
    )
    refresh_token: str = strawberry.field(
        description="For `refreshSession`, which replaces it. A replaced token works again for a short "
        "overlap, 30 seconds unless the operator chose another; later its use ends the sign-in."
    )
    expires_at: datetime = strawberry.field(description="When the access token stops working.")
    viewer: User = strawberry.field(description="Who is signed in.")

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_at=tokens.expires_at,
            viewer=User.of(tokens.viewer),
        )


@strawberry.type(description="The sign-in has ended, in all processes at once.")
class LogOutPayload:
    viewer: User = strawberry.field(description="Who was signed in.")


@strawberry.type(description="The favourite genres are stored.")
class SetFavoriteGenresPayload:
    viewer: User = strawberry.field(description="The member, with the new favourites.")


@strawberry.type(description="The username breaks a rule.")
class InvalidUsername(Error):
    pass


@strawberry.type(description="Another account has the username, or one that looks like it.")
class UsernameTaken(Error):
    pass


@strawberry.type(description="The password breaks a rule.")
class WeakPassword(Error):
    pass


@strawberry.type(description="The username or the password is wrong; it is not told which.")
class InvalidCredentials(Error):
    pass


@strawberry.type(description="Too many wrong passwords came from there of late; this one was not looked at.")
class TooManyAttempts(Error):
    wait_seconds: int = strawberry.field(description="After how many seconds to try again.")

    @classmethod
    def of(cls, error: login_throttle.TooManyAttempts) -> Self:
        return cls(message=str(error), wait_seconds=error.wait_seconds)


@strawberry.type(
    description="The refresh token is not valid, was replaced by a newer one, or its sign-in has ended."
)
class InvalidRefreshToken(Error):
    pass


@strawberry.type(description="There is no sign-in to end.")
class NotSignedIn(Error):
    pass


@strawberry.type(description="One of the genres is not in the catalogue; nothing was changed.")
class GenreNotFound(Error):
    pass


SignUpResult = Annotated[
    AuthPayload | UsernameTaken | WeakPassword | InvalidUsername,
    strawberry.union("SignUpResult", description="Outcomes of `signUp`."),
]
LogInResult = Annotated[
    AuthPayload | InvalidCredentials | TooManyAttempts,
    strawberry.union("LogInResult", description="Outcomes of `logIn`."),
]
RefreshSessionResult = Annotated[
    AuthPayload | InvalidRefreshToken,
    strawberry.union("RefreshSessionResult", description="Outcomes of `refreshSession`."),
]
LogOutResult = Annotated[
    LogOutPayload | NotSignedIn, strawberry.union("LogOutResult", description="Outcomes of `logOut`.")
]
SetFavoriteGenresResult = Annotated[
    SetFavoriteGenresPayload | GenreNotFound,
    strawberry.union("SetFavoriteGenresResult", description="Outcomes of `setFavoriteGenres`."),
]


@strawberry.type
class AccountMutation:
    @strawberry.mutation(directives=[Cost(weight=1800)], description="Make an account and sign in to it.")
    @outcomes(
        {
            authentication.InvalidUsername: InvalidUsername,
            authentication.UsernameTaken: UsernameTaken,
            authentication.WeakPassword: WeakPassword,
        }
    )
    async def sign_up(
        self,
        info: Info,
        input: Annotated[SignUpInput, strawberry.argument(description="The account.")],  # noqa: A002
    ) -> SignUpResult:
        context = info.context
        return AuthPayload.of(
            await authentication.sign_up(
                context.sessions, context.settings, input.username, input.password, context.client
            )
        )

    @strawberry.mutation(directives=[Cost(weight=2000)], description="Sign in.")
    @outcomes(
        {
            authentication.InvalidCredentials: InvalidCredentials,
            login_throttle.TooManyAttempts: TooManyAttempts.of,
        }
    )
    async def log_in(
        self,
        info: Info,
        input: Annotated[LogInInput, strawberry.argument(description="The account.")],  # noqa: A002
    ) -> LogInResult:
        context = info.context
        return AuthPayload.of(
            await authentication.log_in(
                context.sessions, context.settings, input.username, input.password, context.client
            )
        )

    @strawberry.mutation(
        directives=[Cost(weight=250)],
        description="Renew a sign-in: a new pair of tokens for its refresh token. When the answer is lost, "
        "send the same token again at once.",
    )
    @outcomes({authentication.InvalidRefreshToken: InvalidRefreshToken})
    async def refresh_session(
        self,
        info: Info,
        input: Annotated[  # noqa: A002
            RefreshSessionInput, strawberry.argument(description="The sign-in.")
        ],
    ) -> RefreshSessionResult:
        context = info.context
        return AuthPayload.of(
            await authentication.refresh_session(context.sessions, context.settings, input.refresh_token)
        )

    @strawberry.mutation(
        directives=[Cost(weight=200)], description="End the sign-in that the request is made with."
    )
    @outcomes({CallerError: NotSignedIn})
    async def log_out(self, info: Info) -> LogOutResult:
        viewer = await info.context.require_viewer()
        await authentication.log_out(info.context.sessions, viewer)
        return LogOutPayload(viewer=User.of(viewer))

    @strawberry.mutation(
        directives=[Cost(weight=300)],
        description="Choose the viewer's favourite genres, in place of those before.",
        extensions=requires(Role.USER),
    )
    async def set_favorite_genres(
        self,
        info: Info,
        input: Annotated[  # noqa: A002
            SetFavoriteGenresInput, strawberry.argument(description="The genres.")
        ],
    ) -> SetFavoriteGenresResult:
        viewer = await info.context.require_viewer()
        genre_ids = [
            local_id(id_, "Genre", f"input.genreIds[{place}]") for place, id_ in enumerate(input.genre_ids)
        ]
        try:
            await preferences.set_favorite_genres(info.context.sessions, viewer.id, genre_ids)
        except preferences.UnknownGenre as error:
            given = input.genre_ids[genre_ids.index(error.genre_id)]
            return GenreNotFound(message=f"There is no genre {given}.")
        return SetFavoriteGenresPayload(viewer=User.of(viewer))
