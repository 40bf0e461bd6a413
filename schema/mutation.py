"""The Mutation root type."""

import strawberry

from schema.types.account import AccountMutation, PasswordMutation
from schema.types.feedback import FeedbackMutation
from schema.types.import_ratings import ImportMutation
from schema.types.members.batch import MemberBatchMutation
from schema.types.members.merge import MergeMutation
from schema.types.model import ModelMutation
from schema.types.movie_batches.delete import DeleteMoviesMutation
from schema.types.movie_batches.upsert import UpsertMoviesMutation
from schema.types.movie_editing import MovieMutation
from schema.types.movies.nights import NightMutation
from schema.types.operator.admin import OperatorMutation
from schema.types.operator.api_key import ApiKeyMutation
from schema.types.operator.dead_letter import DeadLetterMutation
from schema.types.operator.experiment import ExperimentMutation
from schema.types.operator.hidden_movie import HiddenMovieMutation
from schema.types.operator.promotion import PromotionMutation
from schema.types.operator.training import TrainingMutation
from schema.types.personal_data import PrivacyMutation
from schema.types.rating import RatingMutation
from schema.types.session import SessionMutation
from schema.types.steering.preference import PreferenceMutation


@strawberry.type(description="The root of all mutations. Each result union lists the expected outcomes.")
class Mutation(
    AccountMutation,
    SessionMutation,
    PasswordMutation,
    PrivacyMutation,
    RatingMutation,
    FeedbackMutation,
    PreferenceMutation,
    ImportMutation,
    MergeMutation,
    NightMutation,
    DeadLetterMutation,
    MemberBatchMutation,
    OperatorMutation,
    ApiKeyMutation,
    MovieMutation,
    UpsertMoviesMutation,
    DeleteMoviesMutation,
    HiddenMovieMutation,
    PromotionMutation,
    TrainingMutation,
    ModelMutation,
    ExperimentMutation,
):
    pass
