// Says through the snippet for Node what it makes of requests, a JSON line each.

import { createInterface } from 'node:readline'

import { Refused, verify } from './brasa-http.mjs'

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line)
  try {
    console.log(JSON.stringify({ job: verify(told.secrets, told.headers, Buffer.from(told.body), { now: told.now }) }))
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    console.log(JSON.stringify({ refused: error.message }))
  }
}
