"""All that can be changed."""

import strawberry

from schema.account import AccountMutation
from schema.api_key import ApiKeyMutation
from schema.feedback import FeedbackMutation
from schema.film import FilmMutation
from schema.imports import ImportMutation
from schema.model import ModelMutation
from schema.operators import OperatorMutation
from schema.password import PasswordMutation
from schema.privacy import PrivacyMutation
from schema.rating import RatingMutation
from schema.sign_in import SessionMutation
from schema.training import TrainingMutation


@strawberry.type(description="All that can be changed. Each field's result names its expected outcomes.")
class Mutation(
    AccountMutation,
    SessionMutation,
    PasswordMutation,
    PrivacyMutation,
    RatingMutation,
    FeedbackMutation,
    ImportMutation,
    OperatorMutation,
    ApiKeyMutation,
    FilmMutation,
    TrainingMutation,
    ModelMutation,
):
    pass
