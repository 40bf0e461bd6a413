"""All that can be changed."""

import strawberry

from schema.account import AccountMutation
from schema.feedback import FeedbackMutation
from schema.rating import RatingMutation


@strawberry.type(description="All that can be changed. Each field's result names its expected outcomes.")
class Mutation(AccountMutation, RatingMutation, FeedbackMutation):
    pass
