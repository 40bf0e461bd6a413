"""Prepare a database to serve: migrate, seed, train."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from app import console
from app.accounts.demo import DEMO_PASSWORD, DEMO_USERNAME
from app.cli import demo_account
from app.db import migrations
from app.settings import Settings
from app.training import registry
from recommender.model.sentence_embeddings import SentenceModel, SentenceModelError
from recommender.progress import Progress
from recommender.training.config import Config, InvalidSettings
from seeds import bundled


def check_training(settings: Settings) -> None:
    """End the command with one line if the settings name no valid files for the first training."""
    try:
        if settings.training_settings is not None:
            Config.read(settings.training_settings)
        if settings.sentence_model is not None:
            SentenceModel.open(settings.sentence_model)
    except InvalidSettings as error:
        raise console.fail(f"TRAINING_SETTINGS: {error}") from None
    except SentenceModelError as error:
        raise console.fail(f"SENTENCE_MODEL: {error}") from None


def prepare_database(settings: Settings, database_url: str) -> None:
    """Migrate; load the bundled catalog into an empty embedded database; train if there is no readable model.

    The catalog comes with simulated members, so it is never loaded into a database of others.
    """
    with step("Migrating the database to the newest revision"):
        migrations.upgrade(database_url)
    if is_empty(database_url):
        if settings.database_url is not None:
            console.notice(
                "The database has no movies: load yours with `marquee seed`, then run `marquee train`. "
                "Simulated members are loaded only on demand: `marquee seed bundled`."
            )
            return
        with step("Loading the bundled catalog and its simulated members") as progress:
            bundled.load_bundled(database_url, progress)
    if not registry.has_active_model(database_url, settings.models):
        from app.training import train  # noqa: PLC0415 - loads the compiler of training

        with step("Training the first model") as progress:
            train.train(
                database_url,
                settings.models,
                progress,
                kept_models=settings.kept_models,
                kind=settings.training_model,
                settings=settings.training_settings,
                sentences=settings.sentence_model,
                attributes=settings.content_attributes,
                mlflow=settings.mlflow_tracking_uri,
            )
    if settings.has_demo_account:
        demo_account.open_account(database_url)
        console.notice(f"Demo account: {DEMO_USERNAME} / {DEMO_PASSWORD}")


@contextmanager
def step(title: str) -> Iterator[Progress]:
    """Announce a step, and show its progress."""
    console.announce(title)
    with console.progress(title) as progress:
        yield progress


def is_empty(database_url: str) -> bool:
    """Whether the database has no movies."""
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT 1 FROM movies LIMIT 1").fetchone() is None
