NAME=nightly-report
cat >brasa.toml <<'END'
[queues.mail]

[http.report]
url = "https://shop.example.com/jobs/report"

[schedules.nightly-report]
job  = "http.post"
args = { name = "report", body = { days = 1 } }
cron = "15 4 * * *"
zone = "Europe/Madrid"
END
