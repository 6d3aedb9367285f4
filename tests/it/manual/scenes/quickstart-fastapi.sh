# There is no such order.
#: ends with 1 `brasa enqueue http.post --args '{"name": "confirm-order", "body": {"order": 0}}' --wait`
# The chat is on this machine.
#: say `https://hooks.slack.com/services/T0/B0/SECRET` as `http://127.0.0.1:9900/hook`
#: say `brasa alerts test` as `echo 'private = true' >>brasa.toml; brasa alerts test`
# What the page has one install is installed already.
#: needs `fastapi`
#: say `python3 -m venv .venv` as `ln -s "$PACKAGES" .venv`
#: say `pip install fastapi uvicorn 'psycopg[binary,pool]' redis` as `true`
#: say `redis://127.0.0.1:6379/` as `$REDIS_URL`
#: say `postgres://shop:secret@127.0.0.1/shop` as `$DATABASE_URL`
# The application is stopped where the page says so, and started again.
#: say `psql "$DATABASE_URL" <<'END'` as `away; psql "$DATABASE_URL" <<'END'`
#: say `curl -s localhost:8000/sales` as `back; curl -s localhost:8000/sales`

python3 endpoint.py 9900 &

away() {
    kill "$going"
    wait "$going" || true
}
back() {
    uvicorn app:app --port 8000 >app.log 2>&1 &
    until curl -o /dev/null http://127.0.0.1:8000/sales 2>/dev/null; do sleep 0.1; done
}

after() {
    until [ "$(psql -At "$DATABASE_URL" -c 'select count(*) from orders where confirmed_by is not null')" = 2 ]; do
        sleep 0.1
    done
    curl http://127.0.0.1:8000/products/7 | jq -e '.price == 99'
    curl http://127.0.0.1:8000/sales | jq -e '.rows[0].orders == 2'
    brasa dead list --json | grep 'no such order'
}
