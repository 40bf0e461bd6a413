"""Username and password of the demo account, which only an embedded database on loopback has."""

from app.settings import Settings

DEMO_USERNAME = "demo"
DEMO_PASSWORD = "marquee-demo"  # noqa: S105 - a public password, printed at each start


def demo_account(settings: Settings) -> tuple[str, str] | None:
    """Username and password, if there is a demo account."""
    return (DEMO_USERNAME, DEMO_PASSWORD) if settings.has_demo_account else None
