"""The Subscription root type, served over `graphql-transport-ws` or server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Annotated

import strawberry

from app.accounts.viewer import Role
from app.db.notifications import Topic
from app.training import jobs
from app.training.jobs import Job
from schema.core.constraints import GLOBAL_ID
from schema.core.directives import Cost
from schema.core.errors import BadArgument
from schema.core.global_ids import local_id
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.operator.training import TrainingProgress
from schema.types.recommendation import RecommendationQuery

LATE_SECONDS = 0.05  # a timer may fire a moment before the token has expired

Name = tuple[Topic, str]


async def while_signed_in(info: Info, *names: Name) -> AsyncGenerator[None]:
    """Yield at once, then after each notification on the named topics, with a renewed context.

    Notifications during a slow subscriber count as one. Raises CallerError(UNAUTHENTICATED) as soon
    as the session ends, the access token expires or the key is revoked, which ends the subscription. Use it
    within `aclosing`.
    """
    context = info.context
    assert context.changes is not None
    viewer = await context.require_viewer()
    session = str(viewer.session_id or f"key {viewer.key_id}")  # the issuer's tokens end with their time
    with context.changes.watch(*names, (Topic.SESSION, session)) as changed:
        changed.set()
        while True:
            due = changed.is_set()
            changed.clear()
            context.renew()
            await context.require_viewer()
            if due:
                yield
            left = (await context.authentication.ends_at() - datetime.now(UTC)).total_seconds() + LATE_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)


@strawberry.type(description="The viewer's recommendations changed.")
class RecommendationsChanged(RecommendationQuery):
    changed_at: datetime = strawberry.field(description="When the service noticed the change.")


@strawberry.type(description="The root of all subscriptions. A subscription ends with the session.")
class Subscription:
    @strawberry.subscription(
        directives=[Cost(weight=290)],
        description="Emits when the viewer's recommendations change, on any device: after a rating, new "
        "favorite genres, a preference, or a relevant event. Select the new list in the same subscription.",
    )
    async def recommendations_changed(self, info: Info) -> AsyncGenerator[RecommendationsChanged]:
        viewer = await info.context.require_viewer()
        async with aclosing(while_signed_in(info, (Topic.TASTE, str(viewer.id)))) as changes:
            await anext(changes)
            async for _ in changes:
                yield RecommendationsChanged(changed_at=datetime.now(UTC))

    @strawberry.subscription(
        directives=[Cost(weight=250)],
        description="Emits the progress of a training, at once and after each change. Completes when the "
        "training ends.",
        extensions=requires(Role.ADMIN, members_only=True),
    )
    async def training_progress(
        self,
        info: Info,
        job_id: Annotated[
            strawberry.ID, strawberry.argument(description="The training job.", directives=[GLOBAL_ID])
        ],
    ) -> AsyncGenerator[TrainingProgress]:
        argument = "trainingProgress.jobId"  # whole, since what a stream raises is of no field
        key = local_id(job_id, "TrainingJob", argument)
        last: Job | None = None
        async with aclosing(while_signed_in(info, (Topic.TRAINING, str(key)))) as changes:
            async for _ in changes:
                job = await jobs.job(info.context.sessions, key)
                if job is None:
                    raise BadArgument(argument, "is not the id of a training job.")
                if job != last:
                    yield TrainingProgress.of(job)
                if job.status in jobs.ENDED:
                    return
                last = job
