# The servers of a test are not those of production.
#: ends with 1 `brasa doctor --strict`
# The database of a test has another name, and no password.
#: say `database=app` as `database="${DATABASE_URL##*/}"`

psql -q "$DATABASE_URL" <<'END'
do $$ begin create role shop; exception when duplicate_object or unique_violation then null; end $$;
create table sales (at timestamptz not null default now(), amount numeric);
END
cat >>brasa.toml <<'END'

[aggregates.sales]
source   = "sales"
time     = "at"
measures = { turnover = "sum(amount)" }

[warm.sales]
sql        = "select date(at) as day, sum(amount) as value from sales group by 1"
key        = "sales:{day}"
ttl        = "5m"

[web.tokens.ann]
role = "operator"
hash = "sha256:5f0c6e3fdb1a0a8fbd4f4c2b9a9d3b9f1c0d7a3e6b5c4d2e1f0a9b8c7d6e5f40"
END
export ADMIN_URL=$DATABASE_URL STAGING_URL=$DATABASE_URL
export OWNER_URL=$DATABASE_URL
NAME=sales
