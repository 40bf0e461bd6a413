"""Operations of trainings and subscriptions."""

from bench.cost.accounts import RATE, Rig
from bench.cost.operation import Operation, Request, as_member


def trained(rig: Rig) -> Request:
    return Request({"id": rig.trained_job}, rig.admin)


SUBSCRIPTIONS: dict[str, Operation] = {
    "TrainingJob.model": Operation(
        "query($id:ID!){node(id:$id){... on TrainingJob{model{version}}}}", trained
    ),
    "Subscription.trainingProgress": Operation(
        "subscription($id:ID!){trainingProgress(jobId:$id){stage}}", trained, times=10, streams=True
    ),
    "TrainingProgress.model": Operation(
        "subscription($id:ID!){trainingProgress(jobId:$id){model{version}}}", trained, times=10, streams=True
    ),
    "Subscription.recommendationsChanged": Operation(
        "subscription{recommendationsChanged{__typename}}", as_member(), times=10, streams=True, trigger=RATE
    ),
    "RecommendationsChanged.recommendations": Operation(
        "subscription{recommendationsChanged{recommendations(first:10){edges{score}}}}",
        as_member(),
        times=10,
        streams=True,
        trigger=RATE,
    ),
}
