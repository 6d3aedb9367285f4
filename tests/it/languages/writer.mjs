// Hands over through the snippet for Node what it is told to, a JSON line each.

import { createInterface } from 'node:readline'
import { BrasaWrites, Full } from './brasa-writes.mjs'

const { createClient } = await import(process.argv[2])
const client = createClient({ url: process.env.REDIS_URL })
client.on('error', () => {})
await client.connect()
let writes

for await (const line of createInterface({ input: process.stdin })) {
  const { name, partitions, order_by: orderBy, max_rows: maxRows, rows } = JSON.parse(line)
  writes ??= new BrasaWrites(client, name, { prefix: process.env.PREFIX, partitions, orderBy, maxRows })
  const outcomes = await Promise.allSettled(rows.map((row) => writes.add(row)))
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
  const other = failed.find((outcome) => !(outcome.reason instanceof Full))
  if (other) throw other.reason
  console.log(JSON.stringify({ full: failed.length }))
}
process.exit(0)
