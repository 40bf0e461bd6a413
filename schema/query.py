"""All that can be asked."""

import strawberry

from schema.api_key import ApiKeyQuery
from schema.catalog import CatalogQuery
from schema.group import GroupQuery
from schema.home import HomeQuery
from schema.model import ModelQuery
from schema.onboarding import OnboardingQuery
from schema.operators import OperatorQuery
from schema.privacy import PrivacyQuery
from schema.recommendation import RecommendationQuery
from schema.user import UserQuery


@strawberry.type(description="All that can be asked.")
class Query(
    CatalogQuery,
    RecommendationQuery,
    HomeQuery,
    OnboardingQuery,
    GroupQuery,
    UserQuery,
    PrivacyQuery,
    OperatorQuery,
    ApiKeyQuery,
    ModelQuery,
):
    pass
