import pytest

from schema.core.errors import CallerError, Error
from schema.core.outcomes import outcomes
from schema.types.account import TooManyAttempts


class Refused(Exception):
    pass


class Late(Refused):
    pass


class RefusedOutcome(Error):
    def __init__(self, message: str) -> None:
        self.message = message


def waiting(error: Refused) -> TooManyAttempts:
    return TooManyAttempts(message=f"{error} Wait.", wait_seconds=7)


def busy(error: Refused) -> CallerError:
    return CallerError(f"{error} Retry.")


@pytest.mark.anyio
async def test_an_exception_becomes_the_outcome_of_its_type() -> None:
    @outcomes({Late: waiting, Refused: RefusedOutcome})
    async def resolver(error: Exception | None) -> object:
        if error is not None:
            raise error
        return "done"

    assert await resolver(None) == "done"
    late = await resolver(Late("Too late."))
    assert isinstance(late, TooManyAttempts)
    assert (late.message, late.wait_seconds) == ("Too late. Wait.", 7)
    refused = await resolver(Refused("No."))
    assert isinstance(refused, RefusedOutcome)
    assert refused.message == "No."
    with pytest.raises(KeyError):
        await resolver(KeyError("other"))


@pytest.mark.anyio
async def test_an_error_of_the_request_is_raised() -> None:
    @outcomes({Refused: busy})
    async def resolver() -> object:
        raise Refused("Changing.")

    with pytest.raises(CallerError, match=r"^Changing\. Retry\.$") as raised:
        await resolver()
    assert isinstance(raised.value.__cause__, Refused)
