"""COPY into a server, no faster than the server reads.

libpq buffers whatever the socket does not take, without limit (PQputCopyData, fe-exec.c). So a
source faster than the target would fill this process's memory.
"""

from __future__ import annotations

import select

import psycopg

Buffer = bytes | bytearray | memoryview


def send(copy: psycopg.Copy, block: Buffer) -> None:
    """Write a block, and return once the socket has taken all of it.

    Raises:
        psycopg.Error: the connection is lost.
    """
    copy.write(block)
    connection = copy.connection.pgconn
    while connection.flush():
        poller = select.poll()  # select() takes no more than 1,024 descriptors
        poller.register(connection.socket, select.POLLIN | select.POLLOUT)
        if any(event & select.POLLIN for _, event in poller.poll()):
            connection.consume_input()  # otherwise both sides could wait for each other
