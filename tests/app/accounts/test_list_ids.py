"""The request id of a list belongs to its member."""

from uuid import UUID, uuid4

from app.accounts import list_ids
from app.settings import Settings

SETTINGS = Settings.model_validate({"secret_key": "a secret of the tests, long enough"})
OTHERS = Settings.model_validate({"secret_key": "another secret of the same length."})


def test_a_request_id_is_a_unique_uuid() -> None:
    ids = {list_ids.issue(SETTINGS, 7) for _ in range(1000)}
    assert len(ids) == 1000
    assert {each.version for each in ids} == {8}
    assert {each.variant for each in ids} == {uuid4().variant}


def test_a_request_id_belongs_to_one_member() -> None:
    for user_id in (1, 7, 2**40):
        request_id = list_ids.issue(SETTINGS, user_id)
        assert list_ids.is_of(SETTINGS, UUID(str(request_id)), user_id)
        assert not list_ids.is_of(SETTINGS, request_id, user_id + 1)
        assert not list_ids.is_of(OTHERS, request_id, user_id)


def test_a_visitors_request_id_is_valid_for_any_member() -> None:
    assert list_ids.is_of(SETTINGS, list_ids.issue(SETTINGS, None), 7)


def test_a_request_id_with_any_bit_changed_is_invalid() -> None:
    request_id = list_ids.issue(SETTINGS, 7)
    for bit in range(128):
        assert not list_ids.is_of(SETTINGS, UUID(int=request_id.int ^ (1 << bit)), 7), bit
    assert not list_ids.is_of(SETTINGS, uuid4(), 7)
