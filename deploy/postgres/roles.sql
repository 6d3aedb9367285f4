-- The roles of Brasa, once, as a superuser or whoever may create roles, in the application's database:
--   psql "$ADMIN_URL" -v database=app -f deploy/postgres/roles.sql
-- Then give each a password: \password brasa_owner

-- Runs `brasa migrate`, installs triggers and aggregates; no process that goes on running has it.
create role brasa_owner login;
-- What workers connect as.
create role brasa_worker login;
-- What the dashboard and the API connect as.
create role brasa_web login;

grant create on database :"database" to brasa_owner;
-- What workers make, parts of the history of jobs, can be looked after by the owner, too.
grant brasa_worker to brasa_owner;
