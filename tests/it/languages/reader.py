"""Reads through the snippet for Python what it is told to, a JSON line each; `async` as its argument takes asyncio."""

import asyncio, json, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

import redis, redis.asyncio
from brasa_cache import AsyncBrasaCache, BrasaCache

URL, PREFIX = os.environ["REDIS_URL"], os.environ["PREFIX"]


def shown(answer):
    return {"standing": answer.standing, "value": answer.json(), "why": answer.why, "fresh_ms": answer.fresh_ms}


class Loads:
    """Counts how many loaders run at once."""

    def __init__(self):
        self.now, self.most, self.lock = 0, 0, threading.Lock()

    def begin(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def end(self):
        with self.lock:
            self.now -= 1


def obey(cache, told):
    args, timeout = (told["warmer"], told.get("params", {})), told.get("timeout_ms", 250) / 1000
    loads = Loads()

    def load():
        loads.begin()
        time.sleep(0.02)
        loads.end()
        return told["load"]

    def at_once(call):
        with ThreadPoolExecutor(told["n"]) as pool:
            return [each.result() for each in [pool.submit(call) for _ in range(told["n"])]]

    if told["do"] == "get":
        return shown(cache.get(*args))
    if told["do"] == "get_many":
        return [shown(answer) for answer in cache.get_many(told["warmer"], told["many"])]
    if told["do"] == "get_or_wait":
        return shown(cache.get_or_wait(*args, timeout))
    if told["do"] == "wait_at_once":
        return [shown(answer) for answer in at_once(lambda: cache.get_or_wait(*args, timeout))]
    values = at_once(lambda: cache.get_or(*args, load, timeout))
    return {"values": values, "most": loads.most}


async def obey_async(cache, told):
    args, timeout = (told["warmer"], told.get("params", {})), told.get("timeout_ms", 250) / 1000
    loads = Loads()

    async def load():
        loads.begin()
        await asyncio.sleep(0.02)
        loads.end()
        return told["load"]

    def at_once(call):
        return asyncio.gather(*(call() for _ in range(told["n"])))

    if told["do"] == "get":
        return shown(await cache.get(*args))
    if told["do"] == "get_many":
        return [shown(answer) for answer in await cache.get_many(told["warmer"], told["many"])]
    if told["do"] == "get_or_wait":
        return shown(await cache.get_or_wait(*args, timeout))
    if told["do"] == "wait_at_once":
        return [shown(answer) for answer in await at_once(lambda: cache.get_or_wait(*args, timeout))]
    values = await at_once(lambda: cache.get_or(*args, load, timeout))
    return {"values": values, "most": loads.most}


def say(answer):
    print(json.dumps(answer), flush=True)


async def run_async():
    cache = AsyncBrasaCache(redis.asyncio.Redis.from_url(URL, socket_timeout=5), PREFIX)
    for line in iter(sys.stdin.readline, ""):
        try:
            say(await obey_async(cache, json.loads(line)))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


def run():
    cache = BrasaCache(redis.Redis.from_url(URL, socket_timeout=5), PREFIX)
    for line in sys.stdin:
        try:
            say(obey(cache, json.loads(line)))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


asyncio.run(run_async()) if sys.argv[1:] == ["async"] else run()
