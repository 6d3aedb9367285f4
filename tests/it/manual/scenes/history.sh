cat >brasa.toml <<'END'
[sql.share]
sql    = "select 1 / $1::int"
params = ["args.among"]
END
psql -q "$DATABASE_URL" <<'END'
do $$ begin create role worker; exception when duplicate_object or unique_violation then null; end $$;
END
brasa migrate
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &
ID=job-7
brasa enqueue sql.run --id "$ID" --args '{"name": "share", "among": 0}'
until brasa jobs list --history | grep -q "$ID"; do sleep 0.2; done
