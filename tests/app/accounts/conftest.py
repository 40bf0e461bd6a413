from app.accounts import access_tokens, authentication
from app.accounts.viewer import Viewer
from app.db.engine import Sessions
from app.settings import Settings


async def viewer_of(sessions: Sessions, settings: Settings, access_token: str) -> Viewer | None:
    return await authentication.viewer_of(sessions, access_tokens.claims_of(settings, access_token))
