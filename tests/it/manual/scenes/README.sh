#: say `export REDIS_URL=redis://127.0.0.1:6379/ DATABASE_URL=postgres://app:secret@127.0.0.1/app` as `true`

psql -q "$DATABASE_URL" <<'END'
create table sessions (expires_at timestamptz);
create table products (id bigint primary key, active boolean not null default true);
END

after() {
    [ "$(psql -At "$DATABASE_URL" -c 'select who from greetings')" = Ana ]
}
