// Reads values that Brasa keeps in Redis: in one round trip, and what is missing is asked for in the same.
//
// Copy this file into your application. It needs Node 18, the package `redis` (4 or newer), and `@bokuweb/zstd-wasm`
// for values with codec = "zstd". What the words mean, and what is guaranteed, is in Brasa's manual, docs/cache.md.
//
//     const cache = new BrasaCache(await createClient({ url }).on("error", log).connect());
//     const board = await cache.getOr("board", { origin: "JFK" }, () => loadBoard("JFK"));

import { createHash, randomBytes } from "node:crypto";

const PROTOCOL = 1;
const BELIEVED_MS = 10_000; // for so long what workers say about a warmer is believed
const POLLS_MS = [2, 4, 8, 16, 25]; // pauses while somebody loads a value; the last one repeats
const READS_MAX = 3; // so often a value that was not loaded after all is asked for again, in one call
const SAMPLED = 8; // one read in so many is counted for the hot set, as so many
const BYTES = { returnBuffers: true, typeMapping: { 36: Buffer } }; // as `redis` 4 wants it, and as 5 and newer do

/** No worker has told about this warmer, or it takes another version of the protocol; or Redis is away. */
export class Unavailable extends Error {}

/**
 * standing: "fresh" | "stale" | "none" (known to be absent) | "asked" | "busy" (being loaded) | "missing"
 * why, of what is missing: "cold" | "expired" | "evicted" | "invalidated" | "refused" | "unreadable"
 */
export class Answer {
  constructor(standing, value = null, freshMs = 0, why = "") {
    Object.assign(this, { standing, value, freshMs, why });
  }
  get isKnown() {
    return ["fresh", "stale", "none"].includes(this.standing);
  }
  json() {
    return this.value === null ? null : JSON.parse(this.value.toString());
  }
}

export class BrasaCache {
  #redis; #prefix; #answerMs; #warmers = new Map(); #dictionaries = new Map(); #free; #waiting = [];

  /** loads: how many loaders of `getOr` run at once. answerMs: for how long Redis may take before it is away. */
  constructor(redis, { prefix = "brasa", loads = 4, answerMs = 500 } = {}) {
    [this.#redis, this.#prefix, this.#free, this.#answerMs] = [redis, `${prefix}:`, loads, answerMs];
  }

  async get(warmer, params = {}) {
    return this.#read(warmer, params, true);
  }

  /** One round trip: commands of the same moment are sent together. */
  async getMany(warmer, many) {
    return Promise.all(many.map((params) => this.#read(warmer, params, true)));
  }

  async getOrWait(warmer, params = {}, timeoutMs = 250) {
    const until = performance.now() + timeoutMs;
    let answer = await this.#read(warmer, params, true);
    for (let reads = 0, polls = 0; reads < READS_MAX; reads++) {
      if (!["asked", "busy"].includes(answer.standing) || performance.now() >= until) break;
      // Not the value: one that was invalidated may stand there yet, and one that is known to be absent never will.
      // The lease ends when something came of it.
      const guard = this.#keys(warmer, await this.#described(warmer), params)[0].at(-1);
      for (let isLeased = true, left; isLeased && (left = until - performance.now()) > 0; polls++) {
        const pause = Math.min(POLLS_MS[Math.min(polls, POLLS_MS.length - 1)], left);
        await new Promise((resolve) => setTimeout(resolve, pause));
        isLeased = await this.#send("HEXISTS", guard, "lease");
      }
      answer = await this.#read(warmer, params, false);
    }
    return answer;
  }

  /** The value, decoded; what `load` returns where nobody brought it in time, or Redis is away. */
  async getOr(warmer, params, load, timeoutMs = 250) {
    try {
      const answer = await this.getOrWait(warmer, params, timeoutMs);
      if (answer.isKnown) return answer.json();
    } catch (error) {
      // What the caller did wrong is not hidden.
      if (error instanceof TypeError || error.code === "ERR_MODULE_NOT_FOUND") throw error;
    }
    if (this.#free > 0) this.#free--;
    else await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await load();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }

  async #described(warmer) {
    let known = this.#warmers.get(warmer);
    if (!known || performance.now() - known.at > BELIEVED_MS) {
      const cache = `${this.#prefix}cache:`;
      const [text, script] = await Promise.all([
        this.#send("HGET", `${cache}warmers`, warmer), this.#send("GET", `${cache}script`)]);
      known = text && script ? JSON.parse(text.toString()) : {};
      if (known.protocol !== PROTOCOL) {
        throw new Unavailable(`no worker has described the warmer "${warmer}" by protocol ${PROTOCOL}`);
      }
      const sha = createHash("sha1").update(script).digest("hex");
      Object.assign(known, { script, sha, at: performance.now() });
      this.#warmers.set(warmer, known);
    }
    return known;
  }

  /** The keys that the script takes, and the parameters as one text. */
  #keys(warmer, known, params) {
    const texts = known.params.map((name) => params[name]);
    if (texts.some((v) => v === null || v === undefined) || Object.keys(params).length !== texts.length) {
      throw new TypeError(`the warmer "${warmer}" takes [${known.params}], not [${Object.keys(params)}]`);
    }
    const filled = { ...params, "@version": known.current };
    const key = known.key.replace(/\{\{|\}\}|\{([^}]*)\}/g, (all, name) => (name ? String(filled[name]) : all[0]));
    const beside = /\{([^}]*)\}/.exec(key)?.[1] ? key : `{${key}}`;
    const names = ["clock", "tags", `${warmer}:asks`, "asked", `${warmer}:stats`, `${warmer}:hot`];
    const keys = names.map((name) => `${this.#prefix}cache:${name}`);
    keys.push(key, `${this.#prefix}note:${beside}`, `${this.#prefix}guard:${beside}`);
    return [keys, JSON.stringify(texts.map(String))];
  }

  async #read(warmer, params, isFirst) {
    const known = await this.#described(warmer);
    const [keys, texts] = this.#keys(warmer, known, params);
    const token = known.is_askable ? `r${randomBytes(8).toString("hex")}` : "";
    const hot = isFirst && Math.random() * SAMPLED < 1 ? SAMPLED : 0;
    const rest = [keys.length, ...keys, 0, warmer, texts, known.lease_ms, token, isFirst ? 1 : 0, hot];
    const asked = this.#send("EVALSHA", known.sha, ...rest).catch((error) => {
      if (!error.message.startsWith("NOSCRIPT")) throw error;
      return this.#send("EVAL", known.script, ...rest);
    });
    const [state, stored, freshMs, why] = await asked;
    const standing = state.toString();
    if (standing !== "fresh" && standing !== "stale") return new Answer(standing, null, freshMs, why.toString());
    const value = await this.#unpacked(stored, known.bytes_max);
    return value === null ? new Answer("missing", null, 0, "unreadable") : new Answer(standing, value, freshMs);
  }

  async #unpacked(stored, bytesMax) {
    if (stored.length < 6 || stored.readUInt32LE(0) !== 0xfd2fb528) return stored;
    const zstd = await zstdOnce();
    // The header of the frame: how long its fields are, then the window, the dictionary, the length of the text.
    const flags = stored[4], isWhole = (flags & 32) !== 0, idAt = isWhole ? 5 : 6;
    const idBytes = [0, 1, 2, 4][flags & 3], lengthBytes = [isWhole ? 1 : 0, 2, 4, 8][flags >> 6];
    if (stored.length < idAt + idBytes + lengthBytes || lengthBytes === 0 || lengthBytes === 8) return null;
    const length = stored.readUIntLE(idAt + idBytes, lengthBytes) + (lengthBytes === 2 ? 256 : 0);
    const id = idBytes === 0 ? 0 : stored.readUIntLE(idAt, idBytes);
    if (length > bytesMax) return null;
    if (id !== 0 && !this.#dictionaries.has(id)) {
      const found = await this.#send("HGET", `${this.#prefix}cache:dictionaries`, id);
      if (!found) return null;
      this.#dictionaries.set(id, found);
    }
    try {
      const dictionary = this.#dictionaries.get(id);
      const text = dictionary ? zstd.decompressUsingDict(zstd.context, stored, dictionary) : zstd.decompress(stored);
      return Buffer.from(text);
    } catch {
      return null;
    }
  }

  /** A command; whoever is not connected, or does not answer in time, is away. */
  async #send(...command) {
    if (!this.#redis.isReady) throw new Unavailable("Redis is away");
    const sent = this.#redis.sendCommand(command.map((part) => (Buffer.isBuffer(part) ? part : String(part))), BYTES);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Unavailable("Redis does not answer")), this.#answerMs);
    });
    return Promise.race([sent, late]).finally(() => clearTimeout(timer));
  }
}

let loading;
/** The decoder, when it is first needed. */
function zstdOnce() {
  return (loading ??= import("@bokuweb/zstd-wasm").then(async (module) => {
    const zstd = module.init ? module : module.default;
    await zstd.init();
    return { ...zstd, context: zstd.createDCtx() };
  }));
}
