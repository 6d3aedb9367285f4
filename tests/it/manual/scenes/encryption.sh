# Whoever has no key sees less, and only that is shown.
#: say `brasa jobs show 01M881MPXQ9JN48ZG10QH6FA7J` as `brasa --config without.toml jobs show order-7`
#: differs `brasa jobs show 01M881MPXQ9JN48ZG10QH6FA7J`

export BRASA_KEY_K1=$(openssl rand -hex 32) BRASA_KEY_K2=$(openssl rand -hex 32)
cat >without.toml <<'END'
[sql.greet]
sql = "select 1"
END
cat without.toml - >brasa.toml <<'END'

[encryption]
active = "k2"
unique = "k1"

[encryption.keys.k1]
key = "${BRASA_KEY_K1}"

[encryption.keys.k2]
key = "${BRASA_KEY_K2}"
END
brasa migrate
BRASA_LISTEN=off brasa worker >worker.log 2>&1 &
brasa enqueue sql.run --id order-7 --args '{"name": "greet"}' --in 1h
until brasa encryption status | grep '1 of 1'; do sleep 0.05; done
