"""Account mutations: sign up, log in and out, refresh a session, set favorite genres."""

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
from schema.execution.context import Context, Info
from schema.execution.permissions import requires
from schema.types.user import User

USERNAME = Constraint(max_length=usernames.MAX_GIVEN_LENGTH)
RULE = (
    "8 to 128 characters, at least 4 of them distinct. The username and the most common passwords are not "
    "allowed."
)
PASSWORD = Constraint(max_length=DECOMPOSED * passwords.MAX_LENGTH)


@strawberry.input(description="The account to create.")
class SignUpInput:
    username: str = strawberry.field(
        directives=[USERNAME],
        description="2 to 64 letters, digits and characters of `. _ - + @`, starting with a letter, a digit "
        "or `_`. All letters belong to one script; Latin may be mixed with Chinese, Japanese or Korean. A "
        "name counts as taken if it differs from another only in case, or looks like it.",
    )
    password: str = strawberry.field(
        directives=[PASSWORD],
        description=RULE,
    )


@strawberry.input(description="The account to log in to.")
class LogInInput:
    username: str = strawberry.field(directives=[USERNAME], description="The username. Case is ignored.")
    password: str = strawberry.field(directives=[PASSWORD], description="The password.")


@strawberry.input(description="The session to refresh.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(
        directives=[Constraint(max_length=200)], description="The latest refresh token of the session."
    )


@strawberry.input(description="A member's favorite genres.")
class SetFavoriteGenresInput:
    genre_ids: list[strawberry.ID] = strawberry.field(
        directives=[Constraint(max_items=50, max_length=MAX_ID_LENGTH), Cost(weight=2)],
        description="The complete list, most preferred first. An empty list clears the favorites.",
    )


@strawberry.type(description="The tokens of a session.")
class AuthPayload:
    access_token: str = strawberry.field(
        description="Send as `Authorization: Bearer <accessToken>` until `expiresAt`."
    )
    refresh_token: str = strawberry.field(
        description="Pass to `refreshSession`, which replaces it. A replaced token still works for a short "
        "overlap (30 seconds by default). Reuse after that ends the session."
    )
    expires_at: datetime = strawberry.field(description="When the access token expires.")
    viewer: User = strawberry.field(description="The signed-in member.")

    @classmethod
    def of(cls, context: Context, tokens: Tokens) -> Self:
        """The tokens of a session that begins now, and that the rest of the operation is of."""
        context.sign_in(tokens.access_token)
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_at=tokens.expires_at,
            viewer=User.of(tokens.viewer),
        )


@strawberry.type(description="The session has ended. This takes effect at once in all processes.")
class LogOutPayload:
    viewer: User = strawberry.field(description="The member who logged out.")


@strawberry.type(description="The favorite genres were stored.")
class SetFavoriteGenresPayload:
    viewer: User = strawberry.field(description="The member, with the new favorite genres.")


@strawberry.type(description="The username breaks a rule.")
class InvalidUsername(Error):
    pass


@strawberry.type(description="Another account has this username, or one that looks like it.")
class UsernameTaken(Error):
    pass


@strawberry.type(description="The password breaks a rule.")
class WeakPassword(Error):
    pass


@strawberry.type(description="The username or the password is wrong. The error does not say which.")
class InvalidCredentials(Error):
    pass


@strawberry.type(description="Too many recent wrong passwords. This attempt was not checked.")
class TooManyAttempts(Error):
    wait_seconds: int = strawberry.field(description="Seconds to wait before the next attempt.")

    @classmethod
    def of(cls, error: login_throttle.TooManyAttempts) -> Self:
        return cls(message=str(error), wait_seconds=error.wait_seconds)


@strawberry.type(description="The refresh token is invalid or was replaced, or its session has ended.")
class InvalidRefreshToken(Error):
    pass


@strawberry.type(description="The request has no session to end.")
class NotSignedIn(Error):
    pass


@strawberry.type(description="The catalog lacks one of the genres. Nothing was changed.")
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
    @strawberry.mutation(directives=[Cost(weight=1000)], description="Create an account and log in to it.")
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
        tokens = await authentication.sign_up(
            context.sessions, context.settings, input.username, input.password, context.client
        )
        return AuthPayload.of(context, tokens)

    @strawberry.mutation(directives=[Cost(weight=1500)], description="Log in.")
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
        tokens = await authentication.log_in(
            context.sessions, context.settings, input.username, input.password, context.client
        )
        return AuthPayload.of(context, tokens)

    @strawberry.mutation(
        directives=[Cost(weight=250)],
        description="Refresh a session: exchange its refresh token for a new pair of tokens. If the response "
        "is lost, send the same token again at once.",
    )
    @outcomes({authentication.InvalidRefreshToken: InvalidRefreshToken})
    async def refresh_session(
        self,
        info: Info,
        input: Annotated[  # noqa: A002
            RefreshSessionInput, strawberry.argument(description="The session.")
        ],
    ) -> RefreshSessionResult:
        context = info.context
        tokens = await authentication.refresh_session(context.sessions, context.settings, input.refresh_token)
        return AuthPayload.of(context, tokens)

    @strawberry.mutation(directives=[Cost(weight=200)], description="End the session of this request.")
    @outcomes({CallerError: NotSignedIn})
    async def log_out(self, info: Info) -> LogOutResult:
        viewer = await info.context.require_viewer()
        await authentication.log_out(info.context.sessions, viewer)
        return LogOutPayload(viewer=User.of(viewer))

    @strawberry.mutation(
        directives=[Cost(weight=300)],
        description="Replace the viewer's favorite genres.",
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


@strawberry.input(description="A new password for the viewer's account.")
class ChangePasswordInput:
    current_password: str = strawberry.field(directives=[PASSWORD], description="The current password.")
    new_password: str = strawberry.field(
        directives=[PASSWORD],
        description=RULE,
    )


@strawberry.type(description="The password was changed and the viewer's other sessions have ended.")
class ChangePasswordPayload:
    viewer: User = strawberry.field(description="The viewer. Their current tokens stay valid.")
    ended_sessions: int = strawberry.field(description="The number of other sessions that ended.")


ChangePasswordResult = Annotated[
    ChangePasswordPayload | InvalidCredentials | TooManyAttempts | WeakPassword,
    strawberry.union("ChangePasswordResult", description="Outcomes of `changePassword`."),
]


@strawberry.type
class PasswordMutation:
    @strawberry.mutation(
        directives=[Cost(weight=2400)],
        description="Change the viewer's password and end their other sessions, at once in all processes. "
        "Wrong passwords count toward the limit of `logIn`.",
        extensions=requires(Role.USER),
    )
    @outcomes(
        {
            authentication.InvalidCredentials: lambda _: InvalidCredentials(
                message="The current password is wrong."
            ),
            login_throttle.TooManyAttempts: TooManyAttempts.of,
            authentication.WeakPassword: WeakPassword,
        }
    )
    async def change_password(
        self,
        info: Info,
        input: Annotated[ChangePasswordInput, strawberry.argument(description="The passwords.")],  # noqa: A002
    ) -> ChangePasswordResult:
        context = info.context
        viewer = await context.require_viewer()
        passwords = input.current_password, input.new_password
        ended = await authentication.change_password(
            context.sessions, context.settings, viewer, *passwords, context.client
        )
        return ChangePasswordPayload(viewer=User.of(viewer), ended_sessions=ended)
