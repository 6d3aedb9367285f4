python3 endpoint.py 3000 &
export SLACK_WEBHOOK_URL=http://127.0.0.1:3000/hook
# The chat of this page is on this machine.
echo 'private = true' >>brasa.toml
cat >>brasa.toml <<'END'
[queues.mail]
END
brasa migrate
until curl -o /dev/null "$SLACK_WEBHOOK_URL" 2>/dev/null; do sleep 0.05; done
