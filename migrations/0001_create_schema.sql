-- Everything that Brasa keeps in the application's database lives in this schema, and nothing outside it.
create schema if not exists brasa;

comment on schema brasa is 'Brasa: background jobs, warm caches and database care. Safe to drop when Brasa is gone.';
