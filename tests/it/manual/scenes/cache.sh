#: say `redis-cli GET` as `redis-cli -u "$REDIS_URL" GET`

psql -q "$DATABASE_URL" <<'END'
create table flights (number text, origin text, dest text, at timestamptz, gate text);
insert into flights values ('UA 1545', 'JFK', 'IAH', '2013-01-01T10:17:00Z', 'A1');
do $$ begin create role web; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role worker; exception when duplicate_object or unique_violation then null; end $$;
END
brasa migrate
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &
brasa cache warm board --only origin=JFK --wait=20s
