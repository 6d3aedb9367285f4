psql -q "$DATABASE_URL" -c "create function close_the_day() returns void language sql as ''"
brasa migrate
