#: needs `python`
#: needs `node`
# The worker may not have come to it yet.
#: say `redis-cli -u "$REDIS_URL" HGET` as `sooner_or_later redis-cli -u "$REDIS_URL" HGET`

cat >brasa.toml <<'END'
[sql.greet]
sql    = "insert into greetings (job_id, who) values ($1, $2) on conflict (job_id) do nothing"
params = ["job.id", "args.who"]
END
psql -q "$DATABASE_URL" -c 'create table greetings (job_id text primary key, who text not null)'
brasa migrate
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &

sooner_or_later() {
    until [ -n "$("$@")" ]; do sleep 0.05; done
    "$@"
}

after() {
    until [ "$(psql -At "$DATABASE_URL" -c 'select count(*) from greetings')" = 5 ]; do sleep 0.05; done
}
