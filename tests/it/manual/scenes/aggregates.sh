# The column `added_by` comes with the page's own statements.
#: apart `[aggregates.visits]`

psql -q "$DATABASE_URL" <<'END'
create table flights (scheduled_at timestamptz, carrier text, cancelled boolean default false, arr_delay numeric);
insert into flights select now() - n * interval '1 hour', 'AA', false, n from generate_series(1, 100) n;
create table visits (at timestamptz, page text);
END
brasa migrate

NAME=delays TIME=2026-11-30
