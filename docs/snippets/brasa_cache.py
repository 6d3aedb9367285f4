"""Reads values that Brasa keeps in Redis: in one round trip, and what is missing is asked for in the same.

Copy this file into your application. It needs Python 3.9, the package `redis`, and `zstandard` for values with
codec = "zstd". What the words mean, and what is guaranteed, is in Brasa's manual, docs/cache.md.

    cache = BrasaCache(redis.Redis.from_url(url, socket_timeout=0.5))
    board = cache.get_or("board", {"origin": "JFK"}, lambda: load_board("JFK"))

    cache = AsyncBrasaCache(redis.asyncio.Redis.from_url(url, socket_timeout=0.5))
    board = await cache.get_or("board", {"origin": "JFK"}, lambda: load_board("JFK"))
"""

from __future__ import annotations

import asyncio, json, random, re, secrets, threading, time
from hashlib import sha1
from typing import Any, Awaitable, Callable, Generator, Mapping, NamedTuple, Optional, Sequence

import redis, redis.asyncio

PROTOCOL = 1
BELIEVED_S = 10.0  # for so long what workers say about a warmer is believed
POLLS_S = (0.002, 0.004, 0.008, 0.016, 0.025)  # pauses while somebody loads a value; the last one repeats
READS_MAX = 3  # so often a value that was not loaded after all is asked for again, in one call
SAMPLED = 8  # one read in so many is counted for the hot set, as so many


class Unavailable(LookupError):
    """No worker has told about this warmer, or it takes another version of the protocol."""


class Answer(NamedTuple):
    standing: str  # fresh | stale | none: known to be absent | asked | busy: being loaded | missing
    value: Optional[bytes] = None
    fresh_ms: int = 0
    why: str = ""  # of what is missing: cold | expired | evicted | invalidated | refused | unreadable

    @property
    def is_known(self) -> bool:
        return self.standing in ("fresh", "stale", "none")

    def json(self) -> Any:
        return None if self.value is None else json.loads(self.value)


Steps = Generator[Any, Any, Any]  # yields commands for one round trip, or seconds to sleep


class _Protocol:
    """What both variants share. It does no I/O: it says what to do next."""

    def __init__(self, client: Any, prefix: str = "brasa", loads: int = 4):
        """`loads`: how many loaders of `get_or` run at once in this process."""
        if client.get_encoder().decode_responses:
            raise ValueError("packed values are no text: connect without decode_responses")
        self._redis, self._prefix = client, f"{prefix}:"
        self._warmers: dict[str, tuple[float, dict[str, Any]]] = {}
        self._dictionaries: dict[int, Any] = {}
        self._loads = self._semaphore(loads)

    def _described(self, warmer: str) -> Steps:
        at, known = self._warmers.get(warmer, (0.0, {}))
        if not known or time.monotonic() - at > BELIEVED_S:
            cache = self._prefix + "cache:"
            text, script = yield [("HGET", cache + "warmers", warmer), ("GET", cache + "script")]
            known = json.loads(text) if text and script else {}
            if known.get("protocol") != PROTOCOL:
                raise Unavailable(f"no worker has described the warmer {warmer!r} by protocol {PROTOCOL}")
            known.update(script=script, sha=sha1(script).hexdigest())
            self._warmers[warmer] = (time.monotonic(), known)
        return known

    def _keys(self, warmer: str, known: dict, params: Mapping[str, Any]) -> tuple[list[str], str]:
        """The keys that the script takes, and the parameters as one text."""
        if set(params) != set(known["params"]) or None in params.values():
            raise ValueError(f"the warmer {warmer!r} takes {known['params']}, not {dict(params)}")
        texts = {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in params.items()}
        filled = {**texts, "@version": known["current"]}
        key = re.sub(r"\{\{|\}\}|\{([^}]*)\}", lambda m: filled[m[1]] if m[1] else m[0][0], known["key"])
        tag = re.search(r"\{([^}]*)\}", key)
        beside = key if tag and tag[1] else "{" + key + "}"
        names = ("clock", "tags", f"{warmer}:asks", "asked", f"{warmer}:stats", f"{warmer}:hot")
        keys = [f"{self._prefix}cache:{name}" for name in names]
        keys += [key, f"{self._prefix}note:{beside}", f"{self._prefix}guard:{beside}"]
        ordered = [texts[name] for name in known["params"]]
        return keys, json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))

    def _read(self, warmer: str, many: Sequence[Mapping[str, Any]], is_first: bool = True) -> Steps:
        known = yield from self._described(warmer)
        calls = []
        for params in many:
            keys, texts = self._keys(warmer, known, params)
            token = "r" + secrets.token_hex(8) if known["is_askable"] else ""
            hot = SAMPLED if is_first and random.random() * SAMPLED < 1 else 0
            calls.append(("EVALSHA", known["sha"], len(keys), *keys,
                          0, warmer, texts, known["lease_ms"], token, int(is_first), hot))
        replies = (yield calls) if calls else []
        again = [n for n, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
        if again:
            loaded = yield [("SCRIPT", "LOAD", known["script"]), *(calls[n] for n in again)]
            for n, reply in zip(again, loaded[1:]):
                replies[n] = reply
        answers = []
        for state, value, fresh_ms, why in replies:
            answer = Answer(state.decode(), None, fresh_ms, why.decode())
            if answer.standing in ("fresh", "stale"):
                value = yield from self._unpacked(value, known["bytes_max"])
                answer = Answer("missing", why="unreadable") if value is None else answer._replace(value=value)
            answers.append(answer)
        return answers

    def _unpacked(self, value: bytes, bytes_max: int) -> Steps:
        if not value.startswith(b"\x28\xb5\x2f\xfd"):
            return value
        import zstandard

        try:
            frame = zstandard.get_frame_parameters(value)
            if frame.content_size > bytes_max:
                return None
            if frame.dict_id and frame.dict_id not in self._dictionaries:
                (found,) = yield [("HGET", self._prefix + "cache:dictionaries", frame.dict_id)]
                if found is None:
                    return None
                self._dictionaries[frame.dict_id] = zstandard.ZstdCompressionDict(found)
            dictionary = self._dictionaries.get(frame.dict_id)
            return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(value)
        except zstandard.ZstdError:
            return None

    def _wait(self, warmer: str, params: Mapping[str, Any], timeout: float) -> Steps:
        until, polls = time.monotonic() + timeout, 0
        (answer,) = yield from self._read(warmer, [params])
        for _ in range(READS_MAX):
            if answer.standing not in ("asked", "busy") or time.monotonic() >= until:
                break
            # Not the value: one that was invalidated may stand there yet, and one that is known to be absent never
            # will. The lease ends when something came of it.
            guard = self._keys(warmer, (yield from self._described(warmer)), params)[0][-1]
            is_leased = True
            while is_leased and (left := until - time.monotonic()) > 0:
                yield min(POLLS_S[min(polls, len(POLLS_S) - 1)], left)
                polls += 1
                (is_leased,) = yield [("HEXISTS", guard, "lease")]
            (answer,) = yield from self._read(warmer, [params], is_first=False)
        return answer


def _checked(replies: list) -> list:
    for reply in replies:
        if isinstance(reply, Exception) and not isinstance(reply, redis.exceptions.NoScriptError):
            raise reply
    return replies


class BrasaCache(_Protocol):
    """For threads."""

    _semaphore = threading.BoundedSemaphore

    def get(self, warmer: str, params: Mapping[str, Any] = {}) -> Answer:
        return self._run(self._read(warmer, [params]))[0]

    def get_many(self, warmer: str, many: Sequence[Mapping[str, Any]]) -> list[Answer]:
        return self._run(self._read(warmer, many))

    def get_or_wait(self, warmer: str, params: Mapping[str, Any] = {}, timeout: float = 0.25) -> Answer:
        return self._run(self._wait(warmer, params, timeout))

    def get_or(self, warmer: str, params: Mapping[str, Any], load: Callable[[], Any], timeout: float = 0.25) -> Any:
        """The value, decoded; what `load` returns where nobody brought it in time, or Redis is away."""
        try:
            answer = self.get_or_wait(warmer, params, timeout)
            if answer.is_known:
                return answer.json()
        except (redis.RedisError, Unavailable):
            pass
        with self._loads:
            return load()

    def _run(self, steps: Steps) -> Any:
        try:
            step = next(steps)
            while True:
                if isinstance(step, list):
                    with self._redis.pipeline(transaction=False) as pipe:
                        for command in step:
                            pipe.execute_command(*command)
                        step = steps.send(_checked(pipe.execute(raise_on_error=False)))
                else:
                    step = steps.send(time.sleep(step))
        except StopIteration as end:
            return end.value


class AsyncBrasaCache(_Protocol):
    """For asyncio."""

    _semaphore = asyncio.Semaphore

    async def get(self, warmer: str, params: Mapping[str, Any] = {}) -> Answer:
        return (await self._run(self._read(warmer, [params])))[0]

    async def get_many(self, warmer: str, many: Sequence[Mapping[str, Any]]) -> list[Answer]:
        return await self._run(self._read(warmer, many))

    async def get_or_wait(self, warmer: str, params: Mapping[str, Any] = {}, timeout: float = 0.25) -> Answer:
        return await self._run(self._wait(warmer, params, timeout))

    async def get_or(self, warmer: str, params: Mapping[str, Any], load: Callable[[], Awaitable[Any]],
                     timeout: float = 0.25) -> Any:
        """The value, decoded; what `load` returns where nobody brought it in time, or Redis is away."""
        try:
            answer = await self.get_or_wait(warmer, params, timeout)
            if answer.is_known:
                return answer.json()
        except (redis.RedisError, Unavailable):
            pass
        async with self._loads:
            return await load()

    async def _run(self, steps: Steps) -> Any:
        try:
            step = next(steps)
            while True:
                if isinstance(step, list):
                    async with self._redis.pipeline(transaction=False) as pipe:
                        for command in step:
                            pipe.execute_command(*command)
                        step = steps.send(_checked(await pipe.execute(raise_on_error=False)))
                else:
                    step = steps.send(await asyncio.sleep(step))
        except StopIteration as end:
            return end.value
