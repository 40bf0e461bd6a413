"""The process that trains for a service: `python -m app.training`, with its order on standard input.

It tells its progress as lines of JSON on standard output. Standard input stays open as long as the service
wants the model: when that ends, however the service ends, so does this process.
"""

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psycopg

NICENESS = 10  # whoever asks for a list comes first
REFUSED = 3  # exit status: it would go no better a second time


def main() -> int:
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_the_service, daemon=True).start()
    with suppress(OSError):
        os.nice(NICENESS)
    from app.training import jobs, train  # noqa: PLC0415 - after the order: they take seconds to load
    from recommender.model.sentence_embeddings import SentenceModelError  # noqa: PLC0415 - likewise
    from recommender.training.config import InvalidSettings  # noqa: PLC0415 - likewise

    def conclude(connection: psycopg.Connection, version: str) -> None:
        jobs.finish(connection, order["job_id"], order["claim"], version)

    try:
        train.train(
            order["database_url"],
            Path(order["models"]),
            lambda stage, fraction: tell(stage=stage, fraction=float(fraction)),
            kept_models=order["kept_models"],
            settings=order["settings"] and Path(order["settings"]),
            sentences=order["sentences"] and Path(order["sentences"]),
            conclude=conclude,
        )
    except (train.NothingToTrainOn, InvalidSettings, SentenceModelError) as error:
        tell(refused=str(error))
        return REFUSED
    except OSError as error:
        tell(refused=f"{error.filename or 'The machine'}: {error.strerror or error}")
        return 1
    return 0


def tell(**what: str | float) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - it is read by the service


def end_with_the_service() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
