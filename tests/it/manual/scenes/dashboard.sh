# The second time a row of the log has been changed.
#: say `brasa audit verify` as `verify`
# Certificates of a server that is reached by others.
#: apart `[web]`

cat >brasa.toml <<'END'
[web.tokens.me]
role  = "admin"
token = "${TOKEN}"
END
export TOKEN=$(openssl rand -hex 32)
brasa migrate
BRASA_LISTEN=off BRASA_WEB_LISTEN=127.0.0.1:9800 brasa web >web.log 2>&1 &
until curl -o /dev/null http://127.0.0.1:9800/live 2>/dev/null; do sleep 0.05; done
curl -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"reason": "test"}' \
    http://127.0.0.1:9800/api/v1/queues/default/pause
kill %1
wait
# As for whoever begins: no token, so that a link to log in is printed.
unset TOKEN
: >brasa.toml

verify() {
    brasa audit verify
    local code=$?
    psql -q "$DATABASE_URL" -c "update brasa.audit set actor = 'nobody'"
    return $code
}
