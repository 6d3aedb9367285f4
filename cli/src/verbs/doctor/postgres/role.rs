//! What the role may do, and need not.

use brasa_shared::finding::Finding;

use super::facts::Facts;

/// Powers that no job needs.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let (role, powers) = (&facts.role, &facts.powers);
    if powers.is_empty() {
        return vec![Finding::fine("rights", format!("role `{role}` has no power over the whole server"))];
    }
    let found = format!("role `{role}` has {}", powers.join(", "));
    let why = "whoever can write brasa.toml can do all of that, up to running programs on the server's host";
    let (attributes, memberships): (Vec<&String>, Vec<&String>) =
        powers.iter().partition(|power| !power.starts_with("pg_"));
    let role = brasa_shared::db::quoted(role);
    let mut help = Vec::new();
    if !attributes.is_empty() {
        let without = attributes.iter().map(|name| format!("NO{name}")).collect::<Vec<_>>().join(" ");
        help.push(format!("alter role {role} {without}"));
    }
    help.extend(memberships.iter().map(|group| format!("revoke {group} from {role}")));
    let help = format!("use a role of its own that owns the application's tables, or: {}", help.join("; "));
    vec![Finding::warning("rights", found, why, help)]
}

/// A role called like our schema.
pub(super) fn namesake(facts: &Facts) -> Vec<Finding> {
    if !facts.is_namesake {
        return Vec::new();
    }
    let found = "the role is called `brasa`, like our schema";
    let why = "tables that it makes without naming a schema land in schema `brasa`, and are gone with it";
    let help = "use another role, or: alter role brasa set search_path = public";
    vec![Finding::warning("search path", found, why, help)]
}
