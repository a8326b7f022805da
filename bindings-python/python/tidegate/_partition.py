"""Which partition of a concurrency limiter a request belongs to."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ._functions import function
from .errors import ConfigError

if TYPE_CHECKING:
    from ._tidegate import ConcurrencyLimiter

# What adapters take: a partition's name, or a function of the request's scope that gives one, sync or async.
PartitionOf: TypeAlias = str | Callable[[Any], "str | None | Awaitable[str | None]"]


def partition_option(partition: Any, limiter: ConcurrencyLimiter | None) -> Any:
    """A partition as an adapter takes it; ConfigError for a name that the limiter does not have, or without one."""
    if partition is None:
        return None
    if limiter is None:
        raise ConfigError("partition: it is one of a concurrency limiter; give concurrency as well")
    if isinstance(partition, str):
        # The limiter says what is wrong.
        limiter(partition=partition)
        return partition
    return function("partition", partition)


async def partition_of(partition: Any, scope: Any) -> Any:
    """That of one request; None: it belongs to none."""
    if not callable(partition):
        return partition
    given = partition(scope)
    return await given if inspect.isawaitable(given) else given
