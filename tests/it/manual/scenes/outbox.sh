# It waits again.
#: ends with 1 `brasa outbox delete ID --yes`

psql -q "$DATABASE_URL" <<'END'
create table orders (id int primary key, customer text);
create table customers (name text, active boolean);
insert into customers values ('Ana', true), ('Bo', false);
do $$ begin create role web; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role worker; exception when duplicate_object or unique_violation then null; end $$;
END
cat >>brasa.toml <<'END'
[sql.greet]
sql = "select 1"
END
brasa migrate

ID=o-17
# One that nobody would let in, and that a worker puts aside.
psql -q "$DATABASE_URL" -c "insert into brasa.outbox (id, queue, kind, args, kv, priority)
    values ('$ID', 'default', 'sql.run', '{}', 0, 0)"
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &
until brasa outbox status | grep -q "$ID"; do sleep 0.2; done
kill %1
wait

after() {
    [ "$(psql -At "$DATABASE_URL" -c "select count(*) from brasa.outbox where kind = 'sql.run'")" = 4 ]
}
