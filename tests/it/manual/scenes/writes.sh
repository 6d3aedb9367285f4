# The row was written by what is typed before.
#: ends with 1 `brasa writes delete 7 --yes`

psql -q "$DATABASE_URL" <<'END'
create table visits (page varchar(20), took float8);
create table pages (page text primary key, hits bigint not null default 0);
END
brasa migrate
psql -q "$DATABASE_URL" -c 'alter table brasa.write_dead alter column id restart with 7'
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &
printf 'page,took\n/pricing,12.5\n/about,\n' >visits.csv
redis-cli -u "$REDIS_URL" XADD 'brasa:writes:{visits:0}' '*' d '{"page": "/a-very-long-name-of-a-page"}'
until brasa writes dead visits | grep -q /a-very-long; do sleep 0.2; done

after() {
    until [ "$(psql -At "$DATABASE_URL" -c 'select hits from pages')" = 1 ]; do sleep 0.05; done
    until [ "$(psql -At "$DATABASE_URL" -c 'select count(*) from visits')" = 5 ]; do sleep 0.05; done
}
