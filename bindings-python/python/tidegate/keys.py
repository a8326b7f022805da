"""Who is asking: key functions for keyed limits. Each takes an ASGI scope and gives a text, or None for "not here"."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["KeyFunction", "client_ip", "first_of", "header"]

Scope: TypeAlias = MutableMapping[str, Any]
KeyFunction: TypeAlias = Callable[[Scope], "str | None"]


def client_ip(scope: Scope) -> str | None:
    """The address of the socket's peer: IPv6 by its /64 (one site has that many), mapped IPv4 as IPv4.

    Behind a proxy let the server resolve it (``uvicorn --proxy-headers --forwarded-allow-ips=…``): a header that anyone
    may send identifies nobody.
    """
    client = scope.get("client")
    return _site(client[0]) if client and client[0] else None


def _site_of(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


# Parsing costs more than the decision, and clients come back.
_site = functools.lru_cache(maxsize=4096)(_site_of)


def header(name: str) -> KeyFunction:
    """A request header's value, such as ``header("x-api-key")``. Only for headers that a client cannot make up."""
    wanted = name.lower().encode("latin-1")

    def from_header(scope: Scope) -> str | None:
        for key, value in scope["headers"]:
            if key == wanted:
                return str(value.decode("latin-1"))
        return None

    return from_header


def first_of(*functions: KeyFunction) -> KeyFunction:
    """The first key that is there: ``first_of(header("x-user-id"), client_ip)``."""

    def first(scope: Scope) -> str | None:
        for function in functions:
            key = function(scope)
            if key is not None:
                return key
        return None

    return first
