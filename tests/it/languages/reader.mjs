// Reads through the snippet for Node what it is told to, a JSON line each; its argument names the package of the client.

import { createInterface } from "node:readline";
import { BrasaCache } from "./brasa-cache.mjs";

const { createClient } = await import(process.argv[2]);
const client = createClient({ url: process.env.REDIS_URL, socket: { reconnectStrategy: () => 50 } });
client.on("error", () => {});
// Where there is no Redis, it goes on trying.
await Promise.race([client.connect(), new Promise((resolve) => setTimeout(resolve, 500))]);
const cache = new BrasaCache(client, { prefix: process.env.PREFIX, answerMs: 5000 });

const shown = (answer) => ({ standing: answer.standing, value: answer.json(), why: answer.why, fresh_ms: answer.freshMs });

async function obey({ do: what, warmer, params = {}, many, n, load, timeout_ms: timeout = 250 }) {
  const loads = { now: 0, most: 0 };
  const loader = async () => {
    loads.most = Math.max(loads.most, ++loads.now);
    await new Promise((resolve) => setTimeout(resolve, 20));
    loads.now--;
    return load;
  };
  const atOnce = (call) => Promise.all(Array.from({ length: n }, call));
  if (what === "get") return shown(await cache.get(warmer, params));
  if (what === "get_many") return (await cache.getMany(warmer, many)).map(shown);
  if (what === "get_or_wait") return shown(await cache.getOrWait(warmer, params, timeout));
  if (what === "wait_at_once") return (await atOnce(() => cache.getOrWait(warmer, params, timeout))).map(shown);
  return { values: await atOnce(() => cache.getOr(warmer, params, loader, timeout)), most: loads.most };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line)).catch((error) => ({ error: `${error.constructor.name}: ${error.message}` }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
