# There is no such order.
#: ends with 1 `brasa enqueue http.post --args '{"name": "confirm-order", "body": {"order": 0}}' --wait`
# The chat is on this machine.
#: say `https://hooks.slack.com/services/T0/B0/SECRET` as `http://127.0.0.1:9900/hook`
#: say `brasa alerts test` as `echo 'private = true' >>brasa.toml; brasa alerts test`
# There is no Rails here: what its application would take is taken by another one, and the rest of the page stands.
#: say `redis://127.0.0.1:6379/` as `$REDIS_URL`
#: say `postgres://shop:secret@127.0.0.1/shop` as `$DATABASE_URL`
#: say `cd shop` as `mkdir -p shop/lib && cd shop`
#: say `bin/rails server -p 3000` as `python3 "$PAGE"/endpoint.py 3000`

python3 endpoint.py 9900 &

after() {
    [ "$(brasa jobs list --state done --kind http.post --json | jq length)" -ge 1 ]
    brasa dead groups | grep http.post
}
