// BullMQ, as tests/src/bench/protocol.rs asks for it: node peer.js worker | enqueue COUNT MODE [CALLERS]

const { Queue, Worker } = require('bullmq');
const fs = require('fs');
const readline = require('readline');

const address = new URL(process.env.REDIS_URL);
const connection = { host: address.hostname, port: +address.port, maxRetriesPerRequest: null };
// Done jobs are removed, as ours are: BullMQ would keep them all.
const opts = { removeOnComplete: true, removeOnFail: true };

const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const payload = (id, ts = nowUs()) => ({ id, ts, pad: 'x'.repeat(55) });

async function bulk(queue, count) {
  for (let from = 0; from < count; from += 1000) {
    const jobs = [];
    for (let id = from; id < Math.min(count, from + 1000); id++) jobs.push({ name: 'j', data: payload(id), opts });
    await queue.addBulk(jobs);
  }
}

async function callers(queue, count, many) {
  let next = 0;
  const caller = async () => {
    while (next < count) await queue.add('j', payload(next++), opts);
  };
  await Promise.all(Array.from({ length: many }, caller));
}

async function paced(queue, isOpen) {
  const added = [];
  console.log('ready');
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [id, meantUs] = line.split(' ').map(Number);
    added.push(queue.add('j', payload(id, isOpen ? meantUs : nowUs()), opts));
  });
  await new Promise((resolve) => lines.on('close', resolve));
  await Promise.all(added);
}

async function enqueue(count, mode, many) {
  const queue = new Queue('bench', { connection });
  await queue.waitUntilReady();
  const begun = performance.now();
  if (mode === 'bulk') await bulk(queue, count);
  else if (mode === 'callers') await callers(queue, count, many);
  else await paced(queue, mode === 'open');
  console.log(`enqueued ${count} in ${((performance.now() - begun) / 1000).toFixed(4)}`);
  await queue.close();
}

function work() {
  const { STATS_DIR: folder, MODE: mode, CONC: concurrency } = process.env;
  const own = `${folder}/${process.pid}`;
  const ids = mode === 'crash' ? fs.openSync(`${folder}/ids`, 'a') : 0;
  let [count, first, last, waits] = [0, 0, 0, []];
  setInterval(() => {
    if (!count) return;
    fs.writeFileSync(`${own}.tmp`, `${count} ${first} ${last}\n`);
    fs.renameSync(`${own}.tmp`, `${own}.stat`);
    if (waits.length) fs.appendFileSync(`${own}.lat`, waits.join('\n') + '\n');
    waits = [];
  }, 20);
  const handle = async (job) => {
    const begun = nowUs();
    first ||= begun;
    if (mode === 'lat') waits.push(Math.max(0, begun - job.data.ts));
    else if (mode === 'sleep10') await new Promise((resolve) => setTimeout(resolve, 10));
    else if (mode === 'crash') {
      await new Promise((resolve) => setTimeout(resolve, 1));
      fs.writeSync(ids, `${job.data.id} ${nowUs()}\n`);
    }
    last = nowUs();
    count++;
  };
  new Worker('bench', handle, { connection, concurrency: +concurrency }).on('error', (e) => console.error(e.message));
  process.stdin.resume().on('end', () => process.exit(0));
}

const [, , role, count, mode, many] = process.argv;
if (role === 'worker') work();
else enqueue(+count, mode, +many).then(() => process.exit(0));
