"""Operations of experiments, which only administrators are in: the lists of the member stay the same."""

from itertools import count

from bench.cost.accounts import Rig
from bench.cost.operation import Operation, Request, Variables, as_admin, the_admin, with_input

NUMBERS = count(1)
START = "mutation($i:StartExperimentInput!){startExperiment(input:$i){__typename}}"
STOP = "mutation($i:StopExperimentInput!){stopExperiment(input:$i){__typename}}"
FOUND = "query($n:String!){experiment(name:$n){%s}}"


def to_start(_: Rig) -> Variables:
    arms = [{"name": name, "share": 0.001} for name in ("old", "new")]
    return {"name": f"experiment-{next(NUMBERS)}", "arms": arms, "roles": ["ADMIN"]}


def started(rig: Rig) -> Variables:
    given = to_start(rig)
    rig.client.post(START, {"i": given}, rig.admin)
    return {"name": given["name"]}


def of_started(rig: Rig) -> Request:
    return Request({"n": started(rig)["name"]}, rig.admin)


EXPERIMENTS: dict[str, Operation] = {
    "Query.experiment": Operation(FOUND % "status", of_started, times=10),
    "Query.experiments": Operation("{experiments(first:24){edges{node{status}}}}", as_admin()),
    "Experiment.arms": Operation(FOUND % "arms{users clickRate}", of_started, times=10),
    "Experiment.comparisons": Operation(FOUND % "comparisons{lift}", of_started, times=10),
    "Experiment.sampleRatio": Operation(FOUND % "sampleRatio{pValue}", of_started, times=10),
    "Experiment.looks": Operation(FOUND % "looks{at}", of_started, times=10),
    "Mutation.startExperiment": Operation(START, with_input(to_start, the_admin), times=10),
    "Mutation.stopExperiment": Operation(STOP, with_input(started, the_admin), times=10),
}
