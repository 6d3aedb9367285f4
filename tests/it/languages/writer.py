"""Hands over through the snippet for Python what it is told to, a JSON line each."""

import json, os, sys
from concurrent.futures import ThreadPoolExecutor

import redis
from brasa_writes import BrasaWrites, Full

URL, PREFIX = os.environ["REDIS_URL"], os.environ["PREFIX"]
writes = None

for line in sys.stdin:
    told = json.loads(line)
    if writes is None:
        more = {"partitions": told["partitions"], "order_by": told["order_by"], "max_rows": told["max_rows"]}
        writes = BrasaWrites(redis.Redis.from_url(URL), told["name"], PREFIX, **more)
    full = 0

    def add(row):
        try:
            writes.add(row)
            return 0
        except Full:
            return 1

    with ThreadPoolExecutor(8) as pool:
        full = sum(pool.map(add, told["rows"]))
    print(json.dumps({"full": full}), flush=True)
