# frozen_string_literal: true

# Reads values that Brasa keeps in Redis: in one round trip, and what is missing is asked for in the same.
#
# Copy this file into your application. It needs Ruby 3.0, the gem `redis` (4.8 or newer), and `zstd-ruby` for values
# with codec = "zstd". What the words mean, and what is guaranteed, is in Brasa's manual, docs/cache.md.
#
# Brasa's own tests run this file with redis 4.8 where they find it. They do not run the part about zstd.
#
#   CACHE = BrasaCache.new(Redis.new(url: url, timeout: 0.5))      # or a ConnectionPool::Wrapper of such
#   board = CACHE.get_or("board", { origin: "JFK" }) { Board.load("JFK") }

require "digest/sha1"
require "json"
require "redis"
require "securerandom"

class BrasaCache
  PROTOCOL = 1
  BELIEVED_S = 10.0 # for so long what workers say about a warmer is believed
  POLLS_S = [0.002, 0.004, 0.008, 0.016, 0.025].freeze # pauses while somebody loads a value; the last one repeats
  READS_MAX = 3 # so often a value that was not loaded after all is asked for again, in one call
  SAMPLED = 8 # one read in so many is counted for the hot set, as so many
  MAGIC = "\x28\xB5\x2F\xFD".b.freeze

  # No worker has told about this warmer, or it takes another version of the protocol.
  class Unavailable < StandardError; end

  # standing: fresh | stale | none (known to be absent) | asked | busy (being loaded) | missing
  # why, of what is missing: cold | expired | evicted | invalidated | refused | unreadable
  Answer = Struct.new(:standing, :value, :fresh_ms, :why) do
    def known? = %w[fresh stale none].include?(standing)
    def json = value && JSON.parse(value)
  end

  # loads: how many loaders of `get_or` run at once in this process.
  def initialize(redis, prefix: "brasa", loads: 4)
    @redis, @prefix, @warmers, @dictionaries = redis, "#{prefix}:", {}, {}
    @free = Queue.new
    loads.times { @free << true }
  end

  def get(warmer, params = {}) = read(warmer, [params]).first

  def get_many(warmer, many) = read(warmer, many)

  def get_or_wait(warmer, params = {}, timeout: 0.25)
    ends, polls = now + timeout, 0
    answer = get(warmer, params)
    READS_MAX.times do
      break unless %w[asked busy].include?(answer.standing) && now < ends

      # Not the value: one that was invalidated may stand there yet, and one that is known to be absent never will. The
      # lease ends when something came of it.
      guard = keys(warmer, described(warmer), params).first.last
      loop do
        left = ends - now
        break if left <= 0

        sleep([POLLS_S[[polls, POLLS_S.size - 1].min], left].min)
        polls += 1
        break unless @redis.hexists(guard, "lease")
      end
      answer = read(warmer, [params], is_first: false).first
    end
    answer
  end

  # The value, decoded; what the block returns where nobody brought it in time, or Redis is away.
  def get_or(warmer, params = {}, timeout: 0.25)
    begin
      answer = get_or_wait(warmer, params, timeout: timeout)
      return answer.json if answer.known?
    rescue Redis::BaseError, Unavailable
      # The block it is.
    end
    place = @free.pop
    begin
      yield
    ensure
      @free << place
    end
  end

  private

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def described(warmer)
    known = @warmers[warmer]
    return known if known && now - known[:at] < BELIEVED_S

    text, script = @redis.hget("#{@prefix}cache:warmers", warmer), @redis.get("#{@prefix}cache:script")
    known = text && script ? JSON.parse(text, symbolize_names: true) : {}
    unless known[:protocol] == PROTOCOL
      raise Unavailable, "no worker has described the warmer #{warmer.inspect} by protocol #{PROTOCOL}"
    end

    @warmers[warmer] = known.merge(script: script, sha: Digest::SHA1.hexdigest(script), at: now)
  end

  # The keys that the script takes, and the parameters as one text.
  def keys(warmer, known, params)
    given = params.transform_keys(&:to_s)
    unless given.keys.sort == known[:params].sort && given.values.none?(&:nil?)
      raise ArgumentError, "the warmer #{warmer.inspect} takes #{known[:params]}, not #{params}"
    end

    filled = given.merge("@version" => known[:current])
    key = known[:key].gsub(/\{\{|\}\}|\{([^}]*)\}/) { |all| (name = Regexp.last_match(1)) ? filled[name].to_s : all[0] }
    beside = key[/\{([^}]*)\}/, 1].to_s.empty? ? "{#{key}}" : key
    names = ["clock", "tags", "#{warmer}:asks", "asked", "#{warmer}:stats", "#{warmer}:hot"]
    all = names.map { |name| "#{@prefix}cache:#{name}" }
    all += [key, "#{@prefix}note:#{beside}", "#{@prefix}guard:#{beside}"]
    [all, JSON.generate(known[:params].map { |name| given[name].to_s })]
  end

  def read(warmer, many, is_first: true)
    return [] if many.empty?

    known = described(warmer)
    calls = many.map do |params|
      all, texts = keys(warmer, known, params)
      token = known[:is_askable] ? "r#{SecureRandom.hex(8)}" : ""
      hot = is_first && rand(SAMPLED).zero? ? SAMPLED : 0
      [all, [0, warmer, texts, known[:lease_ms], token, is_first ? 1 : 0, hot]]
    end
    send_all(known, calls).map { |state, value, fresh_ms, why| answer(known, state, value, fresh_ms, why) }
  end

  # A script that Redis does not know any more is sent again.
  def send_all(known, calls)
    @redis.pipelined { |pipe| calls.each { |all, argv| pipe.evalsha(known[:sha], keys: all, argv: argv) } }
  rescue Redis::CommandError => e
    raise unless e.message.start_with?("NOSCRIPT")

    @redis.script(:load, known[:script])
    @redis.pipelined { |pipe| calls.each { |all, argv| pipe.evalsha(known[:sha], keys: all, argv: argv) } }
  end

  def answer(known, state, value, fresh_ms, why)
    return Answer.new(state, nil, fresh_ms, why) unless %w[fresh stale].include?(state)

    text = unpacked(value.b, known[:bytes_max])
    text ? Answer.new(state, text.force_encoding("UTF-8"), fresh_ms, "") : Answer.new("missing", nil, 0, "unreadable")
  end

  def unpacked(value, bytes_max)
    return value unless value.start_with?(MAGIC)

    require "zstd-ruby"
    # The header of the frame: how long its fields are, then the window, the dictionary, the length of the text.
    flags = value.getbyte(4).to_i
    is_whole, id_bytes = (flags & 32) != 0, [0, 1, 2, 4][flags & 3]
    length_bytes = [is_whole ? 1 : 0, 2, 4, 8][flags >> 6]
    id, length = number(value, is_whole ? 5 : 6, id_bytes), number(value, (is_whole ? 5 : 6) + id_bytes, length_bytes)
    length += 256 if length_bytes == 2
    return nil if length_bytes.zero? || length > bytes_max
    return Zstd.decompress(value) if id.zero?

    dictionary = @dictionaries[id] ||= @redis.hget("#{@prefix}cache:dictionaries", id.to_s)
    dictionary && Zstd.decompress(value, dict: dictionary.b)
  rescue RuntimeError # of zstd-ruby: the frame is damaged
    nil
  end

  def number(bytes, at, count)
    bytes.byteslice(at, count).to_s.bytes.reverse.inject(0) { |all, byte| (all << 8) + byte }
  end
end
