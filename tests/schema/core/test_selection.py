"""What an operation selects within a field."""

import pytest
import strawberry

from schema.core.selection import selects


@strawberry.type
class Inner:
    reasons: str = "why"
    score: float = 1.0


@strawberry.type
class Query:
    asked: strawberry.Private[list[bool]]

    @strawberry.field
    def outer(self, info: strawberry.Info) -> list[Inner]:
        self.asked.append(selects(info, ("reasons",)))
        return [Inner()]


SCHEMA = strawberry.Schema(Query)


@pytest.mark.parametrize(
    ("operation", "selected"),
    [
        ("{ outer { score } }", False),
        ("{ outer { reasons } }", True),
        ("{ outer { why: reasons } }", True),
        ("{ outer { reasons: score } }", False),
        ("{ outer { ... { ... on Inner { reasons } } } }", True),
        ("{ outer { ...A } } fragment A on Inner { ...B } fragment B on Inner { reasons }", True),
        ("{ outer { ...A ...A } } fragment A on Inner { score }", False),
        ("{ outer { score } outer { reasons } }", True),
        ("{ outer { score } other: outer { score } __typename }", False),
    ],
)
def test_a_field_is_found_wherever_it_is_selected(operation: str, selected: bool) -> None:
    asked: list[bool] = []
    result = SCHEMA.execute_sync(operation, root_value=Query(asked=asked))
    assert result.errors is None
    assert set(asked) == {selected}
