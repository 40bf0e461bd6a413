"""Username and password of the demo account, which only an embedded database on loopback has."""

DEMO_USERNAME = "demo"
DEMO_PASSWORD = "marquee-demo"  # noqa: S105 - a public password, printed at each start
