// Knows requests that Brasa made. Copy this file into your application; it needs no packages.
//
//     const job = verify([process.env.BRASA_SECRET], request.headers, body)
//
// The body is a Buffer with what came over the wire, before anybody parsed it. What comes back is the id of the job. It is
// the same in every attempt: what was done under it is not to be done again. More: docs/jobs.md.

import { createHmac, timingSafeEqual } from 'node:crypto'

/** Brasa did not make it, or made it too long ago. */
export class Refused extends Error {}

/** The id of the job that a request is about; throws `Refused`. While secrets change, name both. */
export function verify(secrets, headers, body, { tolerance = 300, now = Date.now() / 1000 } = {}) {
  const [job, signature] = [headers['idempotency-key'], headers['brasa-signature']]
  const [first, ...others] = (signature ?? '').split(',')
  const seconds = /^t=(\d{1,12})$/.exec(first)?.[1]
  if (!job || !seconds) throw new Refused('it is not signed')
  if (!(Math.abs(now - Number(seconds)) <= tolerance)) throw new Refused('it was signed too long ago, or clocks differ')
  const wanted = secrets.map((secret) => createHmac('sha256', secret).update(`${seconds}.${job}.`).update(body).digest())
  const given = others.filter((part) => /^v1=[0-9a-f]{64}$/.test(part)).map((part) => Buffer.from(part.slice(3), 'hex'))
  // Every pair is compared, and each in the same time, so that nobody learns from how long it takes.
  const fitting = wanted.flatMap((one) => given.filter((other) => timingSafeEqual(one, other)))
  if (fitting.length === 0) throw new Refused('the signature does not fit')
  return job
}
