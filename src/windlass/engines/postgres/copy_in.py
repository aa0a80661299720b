"""COPY into a server at the server's pace.

libpq keeps what the socket does not take, without a limit (PQputCopyData, fe-exec.c). So a source
that is faster than the target would fill the memory of this process.
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
            connection.consume_input()  # else both sides could wait for each other
