"""Settings of a breaker that change at run time."""

import inspect

import pytest
from tidegate import CircuitBreaker, ConfigError, ManualClock


def fail(breaker, times=1):
    for _ in range(times):
        breaker.acquire().failure()


def test_state_window_and_permits_stay():
    clock = ManualClock()
    breaker = CircuitBreaker("payment", clock=clock)
    fail(breaker, 4)
    early = breaker.acquire()
    breaker.set_config(min_calls=5, cooldown=2)
    assert (breaker.state, breaker.stats().calls) == ("closed", 4)
    early.failure()
    assert (breaker.state, breaker.retry_after) == ("open", 2)
    assert [event.kind for event in breaker.events()] == ["configured", "opened"]


def test_none_is_what_holds_where_it_is_left_out_and_the_others_stay():
    breaker = CircuitBreaker(consecutive_failures=1, cooldown=7)
    breaker.set_config(consecutive_failures=None)
    fail(breaker, 9)
    assert breaker.state == "closed"
    fail(breaker)
    assert 6 < breaker.retry_after <= 7


def test_all_who_share_it_go_by_it():
    one, other = (CircuitBreaker("payment", scope="process:set-config") for _ in range(2))
    one.set_config(consecutive_failures=2)
    fail(other, 2)
    assert one.state == "open"
    # What was changed at run time is not what was declared.
    assert CircuitBreaker("payment", scope="process:set-config").state == "open"


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"window_duration": 10}, ConfigError, "window_duration: this breaker's window is one of calls"),
        ({"window_calls": 993}, ConfigError, "window_calls: 993 is not within 1 to 992"),
        ({"window_calls": 9, "window_duration": 9}, ConfigError, "not both"),
        ({"probes": 17}, ConfigError, "probes: 17 is not within 1 to 16"),
        ({"cooldown": 0}, ConfigError, "cooldown"),
        ({"cooldown": "x"}, TypeError, "cooldown"),
        ({"ignore": ValueError}, TypeError, "unexpected keyword argument"),
        ({"min_calls": 1, "failure_rate_threshold": 50}, ConfigError, "did you mean 0.5"),
    ],
)
def test_what_is_wrong_changes_nothing(changes, error, says):
    breaker = CircuitBreaker()
    with pytest.raises(error, match=says.replace("(", r"\(")):
        breaker.set_config(**changes)
    fail(breaker, 9)
    assert (breaker.state, breaker.events()) == ("closed", [])


def test_every_setting_can_be_changed():
    made = inspect.signature(CircuitBreaker).parameters
    names = set(made) - {"name", "failure_on", "failure_result", "slow", "ignore", "unreached", "classifier"}
    for name in names - {"clock", "scope", "on_conflict", "window_duration"}:
        CircuitBreaker().set_config(**{name: None})
    CircuitBreaker(window_duration=10).set_config(window_duration=20)
