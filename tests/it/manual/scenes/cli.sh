# What is wrong with what is typed.
#: ends with 2 `brasa enqueue sql.rum`
#: ends with 2 `brasa check --offline --config bad.toml`
#: ends with 1 `brasa doctor`
#: ends with 1 `brasa cache triggers status`
# A Redis that deletes queues to make room.
#: say `brasa doctor` as `evicting brasa doctor`
# Jobs of others would keep it.
#: say `brasa worker --drain` as `brasa worker --drain --queues low`
#: say `brasa health` as `brasa health --listen 127.0.0.1:9901`
#: say `--every 5s --count 12` as `--every 100ms --count 2`
# Not all of what is named ID can be the same one.
#: say `brasa jobs cancel ID...` as `brasa jobs cancel later-1`
#: say `brasa dead delete ID...` as `brasa dead delete import-7.2`
#: say `brasa outbox delete ID...` as `brasa outbox delete o-18`
#: say `brasa outbox retry ID...` as `brasa outbox retry o-17`
# A moment later.
#: say `brasa jobs why import-7.then` as `died import-7.2 && brasa jobs why import-7.then`
#: say `brasa dead retry --group 20cced5874ac72ea` as `died dead-1 && mend && brasa dead retry --group 20cced5874ac72ea`
#: say `brasa schedules list` as `fired && brasa schedules list`
# Somebody did that already, for all that follows.
#: differs `brasa migrate`
# Readers with the whole protocol, and a moment in which an invalidated value is still there.
#: differs `brasa cache status`
#: differs `brasa cache status departures-board`
#: differs `brasa cache why board:LGA:2013-01-05`
#: differs `brasa cache why departures-board JFK 2013-01-05`
#: differs `brasa cache hot departures-board`
#: say `brasa encryption status` as `brasa --config sealed.toml encryption status`
#: say `brasa encryption rotate` as `brasa --config sealed.toml encryption rotate`

cat >brasa.toml <<'END'
[queues.low]
[queues.mail]
[queues.limited]
kinds."sql.run" = { concurrency = 2 }

[sql.greet]
sql    = "insert into greetings (job_id, who) values ($1, $2) on conflict (job_id) do nothing"
params = ["job.id", "args.who"]
[sql.broken]
sql = "select 1 / among from shares"
[sql.load]
sql    = "select 1 / (2 - $1::int)"
params = ["args.part"]
[sql.publish]
sql = "select 1"
[sql.nap]
sql     = "select pg_sleep(600)"
timeout = "20m"

[http.welcome]
url     = "http://127.0.0.1:3000/"
private = true

[alerts]
webhook = "http://127.0.0.1:3000/"
private = true

[warm.airlines]
sql        = "select carrier, jsonb_build_object('carrier', carrier, 'name', name) as value from airlines"
key        = "airline:{carrier}"
ttl        = "1m"
depends_on = ["airlines"]

[warm.departures-board]
for_each   = { sql = "select distinct origin, day from flights", params = ["origin", "day"] }
sql        = """
select asked.origin, asked.day, jsonb_agg(f order by f.at) as value
from unnest($1::text[], $2::date[]) as asked (origin, day)
join flights f on f.origin = asked.origin and f.day = asked.day
group by asked.origin, asked.day
"""
key        = "board:{origin}:{day}"
ttl        = "30s"
tags       = ["boards"]
depends_on = ["flights(origin)"]

[aggregates.departures]
source   = "flights"
time     = "at"
measures = { n = "count(*)" }

[writes.visits]
table = "visits"

[maintenance.prune.flights]
table    = "flights"
where    = "at < '2000-01-01'"
order_by = "at"

[schedules.nightly-prune]
job  = "db.prune"
args = { name = "flights" }
cron = "0 3 * * *"

[schedules.warm-products]
job   = "cache.warm"
args  = { name = "airlines" }
every = "10s"
END
cat >bad.toml <<'END'
# A file with two slips.
[redis]

[worker]
concurency = 20
lease = "30"
END
cat >import.json <<'END'
{"group": [{"kind": "sql.run", "args": {"name": "load", "part": 1}},
           {"kind": "sql.run", "args": {"name": "load", "part": 2}}],
 "then": {"kind": "sql.run", "args": {"name": "publish"}}}
END
export TOKEN=$(openssl rand -hex 32)
psql -q "$DATABASE_URL" <<'END'
create table greetings (job_id text primary key, who text not null);
create table airlines (carrier text, name text);
insert into airlines values ('AA', 'American Airlines Inc.');
create table flights (origin text, day date, at timestamptz);
create index on flights (at);
insert into flights values ('JFK', '2013-01-05', '2013-01-05T10:00Z'), ('LGA', '2013-01-05', '2013-01-05T11:00Z');
create table visits (page text);
create table shares as select 0 as among;
END
brasa migrate
brasa cache triggers install --table airlines
psql -q "$DATABASE_URL" -c "insert into brasa.outbox (id, queue, kind, args, kv, priority)
    select id, 'default', 'sql.run', '{}', 0, 0 from unnest(array['o-17', 'o-18']) id"
python3 endpoint.py 3000 &
BRASA_LISTEN=off brasa scheduler >scheduler.log 2>&1 &
BRASA_LISTEN=127.0.0.1:9901 brasa worker >worker.log 2>&1 &
for id in l1 l2 l3; do brasa enqueue sql.run --queue limited --id $id --args '{"name": "nap"}'; done
for id in dead-1 dead-2; do brasa enqueue sql.run --id $id --args '{"name": "broken"}'; done
brasa enqueue sql.run --id later-1 --in 1h --args '{"name": "publish"}'

# Somebody did something through the API.
cp brasa.toml with-token.toml
cat >>with-token.toml <<'END'
[web.tokens.me]
role  = "admin"
token = "${TOKEN}"
END
BRASA_LISTEN=off BRASA_WEB_LISTEN=127.0.0.1:9900 brasa web --config with-token.toml >web.log 2>&1 &
until curl -o /dev/null http://127.0.0.1:9900/live 2>/dev/null; do sleep 0.05; done
curl -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"reason": "test"}' \
    http://127.0.0.1:9900/api/v1/queues/default/pause
kill %%
brasa queues resume default
USER=ana brasa queues drain mail --reason "release 7"
USER=ana brasa schedules pause nightly-prune --reason "a move" --for 2d
brasa cache warm airlines --wait=20s

# Keys are there for another installation, whose jobs nobody runs.
export BRASA_KEY_K1=$(openssl rand -hex 32)
cat >sealed.toml <<'END'
[redis]
prefix = "sealed"

[encryption]
active = "k1"

[encryption.keys.k1]
key = "${BRASA_KEY_K1}"
END

died() {
    until brasa dead list --json | jq -e --arg id "$1" 'any(.id == $id)' >/dev/null; do sleep 0.2; done
}
mend() {
    psql -q "$DATABASE_URL" -c 'update shares set among = 1'
}
fired() {
    until brasa schedules list | grep -q fired; do sleep 0.2; done
}
evicting() {
    redis-cli -u "$REDIS_URL" config set maxmemory 2gb >/dev/null
    redis-cli -u "$REDIS_URL" config set maxmemory-policy allkeys-lru >/dev/null
    "$@"
    local code=$?
    redis-cli -u "$REDIS_URL" config set maxmemory-policy noeviction >/dev/null
    return $code
}
died dead-1
died dead-2
until brasa outbox status | grep -q o-18; do sleep 0.2; done

ID=dead-1
