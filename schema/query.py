"""The Query root type."""

import strawberry

from schema.types.catalog import CatalogQuery
from schema.types.group import GroupQuery
from schema.types.home import HomeQuery
from schema.types.model import ModelQuery
from schema.types.movie_batches.keys import MovieLookup
from schema.types.movies.credits import PersonQuery
from schema.types.onboarding import OnboardingQuery
from schema.types.operator.admin import OperatorQuery
from schema.types.operator.api_key import ApiKeyQuery
from schema.types.operator.dead_letter import DeadLetterQuery
from schema.types.operator.experiment import ExperimentQuery
from schema.types.operator.hidden_movie import HiddenMovieQuery
from schema.types.operator.promotion import PromotionQuery
from schema.types.operator.served_list import ServedListQuery
from schema.types.operator.service import ServiceQuery
from schema.types.operator.setting import SettingQuery
from schema.types.personal_data import PrivacyQuery
from schema.types.recommendation import RecommendationQuery
from schema.types.user import UserQuery


@strawberry.type(description="The root of all queries.")
class Query(
    CatalogQuery,
    PersonQuery,
    MovieLookup,
    RecommendationQuery,
    HomeQuery,
    OnboardingQuery,
    GroupQuery,
    UserQuery,
    PrivacyQuery,
    OperatorQuery,
    DeadLetterQuery,
    ApiKeyQuery,
    ModelQuery,
    ServedListQuery,
    ExperimentQuery,
    ServiceQuery,
    SettingQuery,
    HiddenMovieQuery,
    PromotionQuery,
):
    pass
