# An index that is worth a rebuild takes its time to make; tests/it/bloat.rs has one.
#: differs `brasa db reindex`
#: say `dismiss 1f0c…` as `dismiss $(brasa db recommendations --json | jq -r '.recommendations[0].fingerprint')`
#: say `--plan HASH` as `--plan $(brasa db plan --json | jq -r .plan)`
# In the middle of the week nothing would be changed.
#: apart `[maintenance]`

psql -q "$DATABASE_URL" <<'END'
create table sessions (expires_at timestamptz);
create index sessions_expires_at on sessions (expires_at);
create table archive (noted text);
insert into archive select 'n' from generate_series(1, 1000);
END
brasa migrate
INDEX=sessions_expires_at
