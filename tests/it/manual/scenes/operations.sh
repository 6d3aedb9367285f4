# Nothing is asked for.
#: ends with 2 `brasa dead retry`
#: ends with 2 `brasa dead delete`

cat >brasa.toml <<'END'
[queues.mail]

[sql.share]
sql    = "select 1 / among from shares"
params = []
END
psql -q "$DATABASE_URL" -c 'create table shares as select 0 as among'
brasa migrate
brasa worker >worker.log 2>&1 &
brasa enqueue sql.run --id job-7 --args '{"name": "share"}'
brasa enqueue sql.run --id job-8 --args '{"name": "share"}'
until [ "$(brasa dead groups --json | jq '.[0].count')" = 2 ]; do sleep 0.2; done
psql -q "$DATABASE_URL" -c 'update shares set among = 1'

ID=job-7 GROUP=$(brasa dead groups --json | jq -r '.[0].signature')
