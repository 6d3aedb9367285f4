//! Whether a statement can be planned without running anything of anybody's.
//!
//! The planner computes what is constant, and so calls functions that say of themselves that they are immutable: with
//! the rights of whoever asks for the plan. So only statements are planned that name no function, operator, cast or
//! table by which the planner could come to a function which somebody other than a superuser may have written. Names
//! are compared wherever they are in the text and in whatever schema: in doubt, a statement is not planned.

use sqlx::PgConnection;

/// The longest name; what is longer is cut by Postgres.
const NAME_BYTES: usize = 63;

/// The pieces of a statement that decide what it may call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pieces {
    /// All names and keywords.
    words: Vec<String>,
    /// Those that a parenthesis follows.
    called: Vec<String>,
    /// Signs that operators are made of, as they stand together.
    operators: Vec<String>,
}

/// Operators that need not be written: keywords stand for them (`in`, `between`, `like`, `similar to`, `is distinct from`,
/// `nullif`, `case … when`, `using`, `natural`), and `!=` for one of them. They are looked up as if they were written.
const IMPLIED: [&str; 12] = ["=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~"];

/// Functions that are not of Postgres itself, and what leads the planner to one that is not written in C: only
/// superusers write in C. A superuser's functions, views and rules in other languages are left out with the others'.
const HARMFUL: &str = "
    /* brasa */ with recursive made as materialized (
        select p.oid, p.proname, p.prokind = 'a' or l.lanname not in ('c', 'internal') as is_harmful
        from pg_proc p join pg_language l on l.oid = p.prolang where p.oid >= 16384
    ), signs as (
        select o.oid, o.oprname from pg_operator o join made m on m.oid = o.oprcode where m.is_harmful
        union
        -- The planner turns sides round, and `not` into the opposite.
        select o.oid, o.oprname from signs s join pg_operator o on s.oid in (o.oprcom, o.oprnegate)
    ), bad as materialized (
        select 'pg_proc'::regclass::oid as class, oid from made where is_harmful
        union all
        select 'pg_operator'::regclass, oid from signs
    ), led as materialized (
        select d.classid, d.objid from pg_depend d join bad b on b.class = d.refclassid and b.oid = d.refobjid
    ), named as (
        select oid from pg_class where relname::text = any ($1) and oid >= 16384
        union
        select i.inhrelid from named n join pg_inherits i on i.inhparent = n.oid
    ), tainted as (
        select a.adrelid as oid from led join pg_attrdef a on a.oid = objid where classid = 'pg_attrdef'::regclass
        union all
        select i.indrelid from led join pg_index i on i.indexrelid = objid where classid = 'pg_class'::regclass
        union all
        select objid from led where classid = 'pg_class'::regclass
        union all
        select c.conrelid from led join pg_constraint c on c.oid = objid where classid = 'pg_constraint'::regclass
        union all
        select s.stxrelid from led join pg_statistic_ext s on s.oid = objid
        where classid = 'pg_statistic_ext'::regclass
    )
    select exists (select from made where is_harmful and proname::text = any ($1))
        or exists (select from made where proname::text = any ($2))
        or exists (select from signs join unnest($3) as sign on position(oprname::text in sign) > 0)
        or exists (select from signs where oprname::text = any ($4))
        -- Casts, ranges and domains work wherever there is a value of their type.
        or exists (select from pg_cast c join made m on m.oid = c.castfunc where m.is_harmful)
        or exists (select from pg_range r join made m on m.oid in (r.rngsubdiff, r.rngcanonical) where m.is_harmful)
        or exists (select from led where classid = 'pg_type'::regclass)
        or exists (select from led join pg_constraint c on c.oid = objid
                   where classid = 'pg_constraint'::regclass and c.contypid <> 0)
        or exists (select from named join pg_class c using (oid)
                   where c.relhasrules or c.relrowsecurity or c.relkind in ('v', 'f'))
        or exists (select from named join tainted using (oid))";

/// Whether nothing is run when this statement is planned. The search path must be that of the system only.
pub(super) async fn is_harmless(connection: &mut PgConnection, text: &str) -> Result<bool, sqlx::Error> {
    let Some(pieces) = pieces(text) else { return Ok(false) };
    let query = sqlx::query_scalar(HARMFUL).bind(pieces.words).bind(pieces.called).bind(pieces.operators);
    let is_harmful: bool = query.bind(&IMPLIED[..]).fetch_one(connection).await?;
    Ok(!is_harmful)
}

/// Takes a statement apart that has no literals and no comments any more. None where there is anything in it whose
/// begin or end could be read in two ways.
fn pieces(text: &str) -> Option<Pieces> {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    if ["'", "\\", "--", "/*"].iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let (mut found, mut rest) = (Pieces::default(), text);
    while let Some(first) = rest.chars().next() {
        let after = if first == '"' {
            let (name, after) = quoted(&rest[1..])?;
            push(&mut found, vec![name], after)?;
            after
        } else if first == '$' || first.is_ascii_digit() {
            let end = rest[1..].find(|c| !of_a_word(c) && c != '.').map_or(rest.len(), |end| end + 1);
            let number = &rest[1..end];
            if !number.chars().all(|c| c.is_ascii_digit() || c == '.') || first == '$' && number.is_empty() {
                return None;
            }
            &rest[end..]
        } else if of_a_word(first) {
            let end = rest.find(|c| !of_a_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            // `U&"…"` is a name with escapes in it.
            if word.eq_ignore_ascii_case("u") && after.starts_with('&') {
                return None;
            }
            push(&mut found, vec![word.to_ascii_lowercase(), word.to_lowercase()], after)?;
            after
        } else if is_of_an_operator(first) {
            let end = rest.find(|c| !is_of_an_operator(c)).unwrap_or(rest.len());
            found.operators.push(rest[..end].to_owned());
            &rest[end..]
        } else {
            &rest[first.len_utf8()..]
        };
        rest = after;
    }
    // `operator(schema.+)` names one of any schema, and these read tables that are named by their arguments.
    let is_odd = |word: &String| word == "operator" || word.contains("_to_xml");
    (!found.words.iter().any(is_odd)).then_some(found)
}

fn push(found: &mut Pieces, names: Vec<String>, after: &str) -> Option<()> {
    if names.iter().any(|name| name.len() > NAME_BYTES) {
        return None;
    }
    if after.trim_start().starts_with('(') {
        found.called.extend(names.iter().cloned());
    }
    found.words.extend(names);
    Some(())
}

/// A name whose first quote has been read, and what is behind it.
pub(super) fn quoted(mut rest: &str) -> Option<(String, &str)> {
    let mut found = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        found.push_str(part);
        let Some(next) = after.strip_prefix('"') else { return Some((found, after)) };
        found.push('"');
        rest = next;
    }
}

fn is_of_an_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_taken_apart_into_what_it_may_call() {
        let found = pieces("select Lower (t.\"A \"\"b\"), $1::int+2.5 from t where a<>$2").unwrap();
        for word in ["select", "lower", "t", "A \"b", "int", "from", "a"] {
            assert!(found.words.iter().any(|known| known == word), "{word}: {found:?}");
        }
        assert_eq!(found.called, ["lower", "lower"]);
        assert_eq!(found.operators, ["+", "<>"]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_taken_apart() {
        for text in [
            "select 'x'",
            "select $$x$$",
            "select a -- b",
            "select /* b */ a",
            "select U&\"\\0061\"()",
            "select 1operator(x.+)2",
            "select $1 operator(x.+) $2",
            "select table_to_xml($1)",
            "select \"never ends",
        ] {
            assert_eq!(pieces(text), None, "{text}");
        }
        assert_eq!(pieces(&format!("select {}()", "f".repeat(64))), None);
        assert!(pieces("select a from t limit 10 offset 0.5").is_some());
    }
}
