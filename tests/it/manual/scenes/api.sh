# Jobs that can still be retried and cancelled, and what died and was reviewed here.
#: say `order-1001/retry` as `later-1/retry`
#: say `order-1001/cancel` as `later-2/cancel`
#: say `8f14e45fceea167a/retry` as `$(group)/retry`
#: say `8f14e45fceea167a/delete` as `$(group)/delete`
#: say `1f0e3dad99908345` as `$RECOMMENDATION`

cat >brasa.toml <<'END'
[http.welcome]
url     = "http://127.0.0.1:3000/jobs/welcome"
private = true

[sql.share]
sql = "select 1 / among from shares"

[warm.product]
sql    = "select id, shop, to_jsonb(p) as value from products p where id = any($1) and shop = any($2)"
for_each = { sql = "select id, shop from products", params = ["id", "shop"] }
key    = "shop:{shop}:product:{id}"
ttl    = "5m"
tags   = ["products"]

[schedules.nightly]
job  = "sql.run"
args = { name = "share" }
cron = "0 3 * * *"

[web.tokens.me]
role  = "admin"
token = "${TOKEN}"
END
psql -q "$DATABASE_URL" <<'END'
create table shares as select 0 as among;
create table products (id bigint, shop bigint);
insert into products values (42, 7);
create table archive as select 'n' as noted from generate_series(1, 1000);
END
export TOKEN=$(openssl rand -hex 32)
brasa migrate
python3 endpoint.py 3000 &
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &
BRASA_LISTEN=off brasa web >web.log 2>&1 &
brasa enqueue sql.run --id dead-1 --args '{"name": "share"}'
for id in later-1 later-2; do brasa enqueue sql.run --id $id --in 1h --args '{"name": "share"}'; done
brasa db review --format json --out review.json
RECOMMENDATION=$(brasa db recommendations --json | jq -r '.recommendations[0].fingerprint')

group() {
    until brasa dead groups --json | jq -e '.[0].signature' >/dev/null; do sleep 0.2; done
    brasa dead groups --json | jq -r '.[0].signature'
}
group
until curl -o /dev/null http://127.0.0.1:9700/live 2>/dev/null; do sleep 0.05; done
