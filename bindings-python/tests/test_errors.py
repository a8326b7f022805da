"""The exceptions: one family, picklable, with what a handler needs."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import tidegate
from tidegate import errors

REFUSALS = [
    errors.RateLimitedError("slow down", 1.5),
    errors.CircuitOpenError("payment", math.inf),
    errors.CircuitOpenError("payment", 1.0, tidegate.Trip(4, 2, 0), True),
    errors.QueueFullError(retry_after=2.0),
    errors.ConcurrencyLimitError(),
    errors.OverloadedError("busy"),
    errors.ThrottledError(),
    errors.RetryBudgetExceededError("empty", 2.0, 3),
    errors.TimeoutExceededError("call timed out after 2 s"),
]
OTHERS = [
    errors.QueueClosedError(),
    errors.QueueEmptyError(),
    errors.ConfigError("burst: 0 is not a burst"),
    errors.ArenaError("the arena is full", "full"),
]


@pytest.mark.parametrize("error", REFUSALS + OTHERS, ids=lambda error: type(error).__name__)
def test_survives_pickle_and_copy(error: Exception) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_refusals_tell_when_to_come_back(error: Exception) -> None:
    assert isinstance(error, tidegate.TidegateError)
    assert isinstance(error.retry_after, float)  # type: ignore[attr-defined]


def test_texts() -> None:
    assert str(REFUSALS[0]) == "slow down: try again in 1.5 s"
    assert str(REFUSALS[1]) == 'circuit "payment" is open until it is reset'
    assert str(OTHERS[0]) == "queue is closed" and str(OTHERS[-1]) == "the arena is full"


def test_a_wrong_value_is_a_value_error_too() -> None:
    with pytest.raises(ValueError):
        tidegate.TokenBucket("nonsense")
    with pytest.raises(tidegate.TidegateError):
        tidegate.TokenBucket("nonsense")
    assert not isinstance(OTHERS[0], ValueError)


def test_everything_public_is_exported() -> None:
    for name in errors.__all__:
        assert getattr(tidegate, name) is getattr(errors, name)
    assert sorted(tidegate.__all__) == tidegate.__all__
