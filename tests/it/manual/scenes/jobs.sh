# Nobody is called: there is no such application.
#: say `brasa enqueue http.post` as `brasa enqueue --queue later http.post`
# What is tried again dies again, in its time; until somebody mends what it divides by.
#: say `brasa dead delete` as `died 4 && brasa dead delete`
#: say `brasa dead retry --group` as `died 3 && mend && brasa dead retry --group`
# A job that has not ended.
#: say `brasa jobs cancel ID` as `brasa jobs cancel later-7`

cat >>brasa.toml <<'END'

[queues.later]

[sql.broken]
sql = "select 1 / among from shares"

[sql.remind]
sql = "select 1"
[sql.quote]
sql = "select 1"
[sql.export]
sql = "select 1"
[sql.publish]
sql = "select 1"
[sql.reindex]
sql    = "select $1::int"
params = ["args.doc"]
[sql.load]
sql    = "select $1::int"
params = ["args.part"]
END
export BRASA_SECRET=$(openssl rand -hex 32) API_TOKEN=token
psql -q "$DATABASE_URL" <<'END'
create table searches (job_id text primary key, origin text, dest text);
create table accounts (id int primary key, balance numeric, fence bigint);
create table flights (origin text, day date, at timestamptz);
create table airlines (carrier text, name text);
create table shares as select 0 as among;
END
brasa migrate
cat >import.json <<'END'
{"group": [{"kind": "sql.run", "args": {"name": "load", "part": 1}},
           {"kind": "sql.run", "args": {"name": "load", "part": 2}}],
 "then": {"kind": "sql.run", "args": {"name": "publish"}}}
END
BRASA_LISTEN=off brasa worker --queues default >worker.log 2>&1 &
brasa enqueue sql.run --id a1 --args '{"name": "broken"}'
for _ in 1 2 3; do brasa enqueue sql.run --args '{"name": "broken"}'; done
brasa enqueue sql.run --id later-7 --in 1h --args '{"name": "remind"}'
died() {
    until [ "$(brasa dead list --json | jq length)" = "$1" ]; do sleep 0.2; done
}
mend() {
    psql -q "$DATABASE_URL" -c 'update shares set among = 1'
}
died 4

ID=a1
