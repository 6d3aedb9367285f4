// Hands over rows of Brasa's batched writes. Copy this file into your application; it needs the package `redis`.
//
//     const writes = new BrasaWrites(client, 'visits')
//     await writes.add({ page: '/pricing', took: 12.5 })
//
// A row is numbered, so that it is handed over again where nobody knows whether it was, and is written once all the same.
// The protocol: docs/writes.md.

import { randomUUID } from 'node:crypto'

/** So many rows wait that no more are taken. */
export class Full extends Error {}

/** Hands over rows of one `[writes.NAME]`; `partitions`, `orderBy` and `maxRows` are what brasa.toml says there. */
export class BrasaWrites {
  constructor(client, name, { prefix = 'brasa', partitions = 1, orderBy = [], maxRows = 1_000_000, patience = 5000 } = {}) {
    Object.assign(this, { client, name, prefix, partitions, orderBy, maxRows, patience })
    this.producer = randomUUID()
    this.streams = Array.from({ length: partitions }, () => ({ turn: Promise.resolve(), last: 0, looked: -Infinity, isFull: false }))
  }

  /** Hands over a row: an object of columns. Throws `Full`, or what `redis` says after `patience` ms. */
  add(row) {
    const part = this.#partOf(row)
    const stream = this.streams[part]
    // One after the other, so that they come in the order of their numbers.
    const added = stream.turn.then(() => this.#add(stream, `${this.prefix}:writes:{${this.name}:${part}}`, JSON.stringify(row)))
    stream.turn = added.catch(() => {})
    return added
  }

  async #add(stream, key, data) {
    const [until, number] = [performance.now() + this.patience, stream.last + 1]
    for (;;) {
      try {
        if (performance.now() > stream.looked + 100) {
          stream.isFull = (await this.client.xLen(key)) >= this.maxRows
          stream.looked = performance.now()
        }
        if (stream.isFull && stream.last < number) throw new Full(`${this.maxRows} rows of ${this.name} wait to be written`)
        stream.last = number
        return await this.client.xAdd(key, '*', { d: data, p: this.producer, n: String(number) })
      } catch (error) {
        // What Redis itself refuses it did not take. Else nobody knows: with its number it may be sent again.
        const isRefused = error instanceof Full || ['SimpleError', 'ErrorReply'].includes(error.constructor.name)
        if (isRefused || performance.now() > until) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  #partOf(row) {
    if (this.partitions === 1 || this.orderBy.length === 0) return 0
    const plain = JSON.parse(JSON.stringify(row))
    const texts = this.orderBy.map((column) => (column in plain ? plain[column] : ''))
      .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
    return crc32(Buffer.from(texts.join('\x1f'))) % this.partitions
  }
}

// As zlib computes it.
function crc32(bytes) {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}
