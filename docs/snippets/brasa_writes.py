"""Hands over rows of Brasa's batched writes. Copy this file into your application; it needs the package `redis`.

    writes = BrasaWrites(redis.Redis(), "visits")
    writes.add({"page": "/pricing", "took": 12.5})

A row is numbered, so that it is handed over again where nobody knows whether it was, and is written once all the same.
Threads may share one object. The protocol: docs/writes.md.
"""

import json, os, threading, time, uuid, zlib

import redis


class Full(Exception):
    """So many rows wait that no more are taken."""


class BrasaWrites:
    """Hands over rows of one `[writes.NAME]`; `partitions`, `order_by` and `max_rows` are what brasa.toml says there."""

    def __init__(self, client, name, prefix="brasa", partitions=1, order_by=(), max_rows=1_000_000, patience=5.0):
        self._redis, self._name, self._prefix = client, name, prefix
        self._partitions, self._order_by, self._max_rows = partitions, order_by, max_rows
        self._patience = patience
        self._begin()

    def _begin(self):
        # A process that was forked off has numbers of its own.
        self._pid, self._producer = os.getpid(), uuid.uuid4().hex
        self._streams = [_Stream() for _ in range(self._partitions)]

    def add(self, row):
        """Hands over a row: a dict of columns. Raises `Full`, or what `redis` says after `patience` seconds."""
        if self._pid != os.getpid():
            self._begin()
        part, data = self._part_of(row), json.dumps(row, default=str)
        stream, key = self._streams[part], f"{self._prefix}:writes:{{{self._name}:{part}}}"
        # One after the other, so that they come in the order of their numbers.
        with stream.lock:
            until, number = time.monotonic() + self._patience, stream.last + 1
            while True:
                try:
                    if time.monotonic() > stream.looked + 0.1:
                        stream.is_full = self._redis.xlen(key) >= self._max_rows
                        stream.looked = time.monotonic()
                    if stream.is_full and stream.last < number:
                        raise Full(f"{self._max_rows} rows of {self._name} wait to be written")
                    stream.last = number
                    return self._redis.xadd(key, {"d": data, "p": self._producer, "n": number})
                except (redis.ConnectionError, redis.TimeoutError):
                    # Whether it was taken is not known: with its number it may be sent again.
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)

    def _part_of(self, row):
        if self._partitions == 1 or not self._order_by:
            return 0
        values = [row.get(column, "") for column in self._order_by]
        texts = [json.loads(json.dumps(value, default=str)) for value in values]
        texts = [value if isinstance(value, str) else json.dumps(value) for value in texts]
        return zlib.crc32("\x1f".join(texts).encode()) % self._partitions


class _Stream:
    def __init__(self):
        self.lock, self.last, self.looked, self.is_full = threading.Lock(), 0, float("-inf"), False
