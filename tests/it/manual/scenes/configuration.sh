export BRASA_SECRET=$(openssl rand -hex 32) BRASA_SECRET_BEFORE=$(openssl rand -hex 32) API_TOKEN=token
export BRASA_TOKEN_SHOP=$(openssl rand -hex 32) SLACK_WEBHOOK_URL=https://hooks.example.com/services/T0/B0/X0
export BRASA_KEY_K1=$(openssl rand -hex 32) COLLECTOR_TOKEN=token
mkdir secrets
openssl rand -hex 32 >secrets/brasa-k2
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=brasa.example.com -keyout tls.key -out tls.crt
psql -q "$DATABASE_URL" <<'END'
create table ledger (job_id text primary key, attempt int, n int);
create table products (id bigint primary key, active boolean);
create table customers (id bigint primary key);
END
