# Reads through the snippet for Ruby what it is told to, a JSON line each.

require_relative "brasa_cache"

CACHE = BrasaCache.new(Redis.new(url: ENV.fetch("REDIS_URL"), timeout: 5, reconnect_attempts: 0),
                       prefix: ENV.fetch("PREFIX"))
LOCK = Mutex.new

def shown(answer)
  { standing: answer.standing, value: answer.json, why: answer.why, fresh_ms: answer.fresh_ms }
end

def obey(told)
  warmer, params, timeout = told["warmer"], told.fetch("params", {}), told.fetch("timeout_ms", 250) / 1000.0
  running = most = 0
  load = lambda do
    LOCK.synchronize { most = [most, running += 1].max }
    sleep 0.02
    LOCK.synchronize { running -= 1 }
    told["load"]
  end
  at_once = ->(&call) { Array.new(told["n"]) { Thread.new(&call) }.map(&:value) }
  case told["do"]
  when "get" then shown(CACHE.get(warmer, params))
  when "get_many" then CACHE.get_many(warmer, told["many"]).map { |answer| shown(answer) }
  when "get_or_wait" then shown(CACHE.get_or_wait(warmer, params, timeout: timeout))
  when "wait_at_once"
    at_once.call { CACHE.get_or_wait(warmer, params, timeout: timeout) }.map { |answer| shown(answer) }
  else
    { values: at_once.call { CACHE.get_or(warmer, params, timeout: timeout) { load.call } }, most: most }
  end
end

$stdout.sync = true
$stdin.set_encoding("UTF-8")
$stdin.each_line do |line|
  puts JSON.generate(obey(JSON.parse(line)))
rescue StandardError => e
  puts JSON.generate({ error: "#{e.class}: #{e.message}" })
end
