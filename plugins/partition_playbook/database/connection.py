"""A connection as every session needs it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
Params = dict[str, Any]
# A host that vanished is noticed after 10 + 3 * 5 s without traffic, or 30 s with an unanswered packet.
KEEPALIVES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


def set_up(connection: psycopg.Connection[Any]) -> psycopg.Connection[Row]:
    """Return a new connection in autocommit mode, with rows as mappings and TCP keepalives."""
    connection.autocommit = True
    connection.prepare_threshold = None
    connection.row_factory = dict_row
    _keep_alive(connection)
    return connection


def _keep_alive(connection: psycopg.Connection[Any]) -> None:
    """Let the client's side of a TCP connection notice a server that vanished."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        if line.family in (socket.AF_INET, socket.AF_INET6):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVES.items():
                if (option := getattr(socket, name, None)) is not None:  # not every system has each
                    line.setsockopt(socket.IPPROTO_TCP, option, value)


def close_all(connections: list[psycopg.Connection[Row]]) -> None:
    """Close the connections and empty the list."""
    while connections:
        connections.pop().close()
