"""All that can be asked."""

import strawberry

from schema.catalog import CatalogQuery
from schema.recommendation import RecommendationQuery
from schema.user import UserQuery


@strawberry.type(description="All that can be asked.")
class Query(CatalogQuery, RecommendationQuery, UserQuery):
    pass
