# Nothing is asked for.
#: ends with 2 `brasa dead retry`
# What is to be looked at has one name here, so that NAME is right everywhere.
cat >brasa.toml <<'END'
[queues.board]

[http.board]
url     = "http://127.0.0.1:3000/"
private = true

[warm.board]
sql    = "select origin, count(*) as value from flights where origin = any($1) group by origin"
params = ["origin text"]
key    = "board:{origin}"
ttl    = "1m"

[aggregates.board]
source   = "flights"
time     = "at"
measures = { n = "count(*)" }

[writes.board]
table = "flights"

[schedules.board]
job  = "cache.warm"
args = { name = "board" }
cron = "0 4 * * *"

[alerts]
webhook = "http://127.0.0.1:3000/"
private = true
END
python3 endpoint.py 3000 &
psql -q "$DATABASE_URL" -c 'create table flights (origin text, at timestamptz)'
brasa migrate
brasa aggregates install
brasa aggregates backfill board
brasa enqueue http.post --id job-7 --args '{"name": "board"}'
until curl -o /dev/null http://127.0.0.1:3000/ 2>/dev/null; do sleep 0.05; done

NAME=board ID=job-7
