# Sidekiq, as tests/src/bench/protocol.rs asks for it:
#   sidekiq -r ./job.rb -c N -q default | ruby job.rb enqueue COUNT MODE [CALLERS]

require 'sidekiq'

Sidekiq.configure_server { |c| c.redis = { url: ENV['REDIS_URL'] }; c.logger.level = Logger::WARN }
Sidekiq.configure_client { |c| c.redis = { url: ENV['REDIS_URL'], size: 60 } }

def now_us = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
def watch = Process.clock_gettime(Process::CLOCK_MONOTONIC)
def payload(id, ts = now_us) = { 'id' => id, 'ts' => ts, 'pad' => 'x' * 55 }

$mode = ENV['MODE']
$count, $first, $last, $waits, $lock = 0, 0, 0, [], Mutex.new

class BenchJob
  include Sidekiq::Worker
  sidekiq_options retry: false

  def perform(job)
    begun = now_us
    $first = begun if $first == 0
    case $mode
    when 'lat' then $lock.synchronize { $waits << [0, begun - job['ts']].max }
    when 'sleep10' then sleep 0.01
    when 'crash'
      sleep 0.001
      $ids.syswrite("#{job['id']} #{now_us}\n")
    end
    $lock.synchronize { $last = now_us; $count += 1 }
  end
end

def bulk(count)
  (0...count).each_slice(1000) do |ids|
    Sidekiq::Client.push_bulk('class' => BenchJob, 'args' => ids.map { |id| [payload(id)] })
  end
end

def callers(count, many)
  many.times.map do |n|
    Thread.new { (n...count).step(many) { |id| BenchJob.perform_async(payload(id)) } }
  end.each(&:join)
end

def paced(is_open)
  puts 'ready'
  $stdout.flush
  $stdin.each_line do |line|
    id, meant_us = line.split.map(&:to_i)
    BenchJob.perform_async(payload(id, is_open ? meant_us : now_us))
  end
end

def enqueue(count, mode, many)
  begun = watch
  case mode
  when 'bulk' then bulk(count)
  when 'callers' then callers(count, many)
  else paced(mode == 'open')
  end
  puts "enqueued #{count} in #{(watch - begun).round(4)}"
end

def tell(own)
  return if $count == 0

  File.write("#{own}.tmp", "#{$count} #{$first} #{$last}\n")
  File.rename("#{own}.tmp", "#{own}.stat")
  waits = $lock.synchronize { all = $waits; $waits = []; all }
  File.open("#{own}.lat", 'a') { |file| file.write(waits.join("\n") + "\n") } unless waits.empty?
end

if ARGV[0] == 'enqueue' && $0 == __FILE__
  enqueue(ARGV[1].to_i, ARGV[2], ARGV[3].to_i)
else
  folder = ENV['STATS_DIR']
  $ids = File.open("#{folder}/ids", 'a') if $mode == 'crash'
  Thread.new { loop { sleep 0.02; tell("#{folder}/#{Process.pid}") } }
  Thread.new { $stdin.read; exit!(0) }
end
