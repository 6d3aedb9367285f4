//! What an index is, whatever it is called.

/// An expression in SQL that is the same for all indexes that do the same on the same table, and that outlives a rebuild. Out
/// of the catalogue alone: the text of an index waits where somebody holds its table. Over a row of `pg_index`, the name of
/// its method and its `reloptions`. When uniqueness is checked is left out, for Postgres sets that of a copy last. Places in the text of the statement that made it are left out.
macro_rules! signature {
    ($x:literal, $method:literal, $options:literal) => {
        concat!(
            "left(encode(sha256(convert_to(concat_ws('|', ",
            $method,
            ", ",
            $x,
            ".indkey::text, ",
            $x,
            ".indnkeyatts, ",
            $x,
            ".indclass::text, ",
            $x,
            ".indcollation::text, ",
            $x,
            ".indoption::text, ",
            $x,
            ".indisunique, ",
            $x,
            ".indisexclusion, ",
            $x,
            ".indisunique and coalesce((to_jsonb(",
            $x,
            ") ->> 'indnullsnotdistinct')::boolean, false), array(select unnest(",
            $options,
            ") order by 1)::text, (select string_agg(attoptions::text, ',' order by attnum) from pg_attribute
                where attrelid = ",
            $x,
            ".indexrelid and attnum > 0), regexp_replace(coalesce(",
            $x,
            ".indexprs::text, ''), ':location -?\\d+', '', 'g'), regexp_replace(coalesce(",
            $x,
            ".indpred::text, ''), ':location -?\\d+', '', 'g'), (select conexclop::text from pg_constraint where ",
            $x,
            ".indisexclusion and conindid = ",
            $x,
            ".indexrelid and contype = 'x' limit 1)), 'UTF8')), 'hex'), 32)"
        )
    };
}

pub(in crate::database) use signature;
