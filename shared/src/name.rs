//! Names: of queues, kinds, schedules, statements, warmers, and the prefix of the keys.

use crate::harmless::harmless;

/// How long a name may be, in bytes.
pub const NAME_LENGTH_MAX: usize = 64;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("a name must not be empty")]
    Empty,
    /// It is longer than `NAME_LENGTH_MAX`.
    #[error("the name `{}…` is longer than {NAME_LENGTH_MAX} characters", harmless(.0.chars().take(16)))]
    Long(String),
    /// It begins with something else than a small letter or a digit.
    #[error("the name `{}` begins with `{}`, and not with a small letter or a digit", harmless(.0.chars()), harmless([*.1]))]
    Start(String, char),
    /// It holds a character that no name may hold.
    #[error("the name `{}` holds `{}`; names are made of a-z, 0-9, `_`, `.` and `-`", harmless(.0.chars()), harmless([*.1]))]
    Character(String, char),
}

/// Whether `name` matches `[a-z0-9][a-z0-9_.-]{0,63}`.
///
/// Names become parts of Redis keys, of metric labels and of paths, so one narrow rule serves them all.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let inner = |c: char| plain(c) || matches!(c, '_' | '.' | '-');
    if name.len() > NAME_LENGTH_MAX {
        return Err(NameError::Long(name.to_owned()));
    }
    let first = name.chars().next().ok_or(NameError::Empty)?;
    if let Some(odd) = name.chars().find(|c| !inner(*c)) {
        return Err(NameError::Character(name.to_owned(), odd));
    }
    if plain(first) { Ok(()) } else { Err(NameError::Start(name.to_owned(), first)) }
}

fn plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_allowed_shape_pass() {
        for name in ["a", "0", "sql.run", "departures-board_2", &"x".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let reason = |name: &str| check_name(name).unwrap_err().to_string();
        assert_eq!(reason(""), "a name must not be empty");
        assert!(reason(&"x".repeat(65)).contains("longer than 64"));
        assert!(reason(&"é".repeat(40)).contains("longer than 64"));
        assert!(reason("Board").contains("holds `B`"));
        assert!(reason("a b").contains("holds ` `"));
        assert!(reason("{a}").contains("holds `{`"));
        assert!(reason("-a").contains("begins with `-`"));
        assert!(reason("größe").contains("holds `ö`"));
    }

    #[test]
    fn what_steers_keys_paths_patterns_or_terminals_is_no_name_and_is_told_without_steering() {
        let odd = [
            ":",
            "*",
            "?",
            "{",
            "}",
            "[",
            "/",
            "\\",
            "\r\n",
            "\n",
            "\0",
            "\t",
            "\u{1b}[2J",
            "\u{7f}",
            "\u{9b}",
        ];
        let placed = odd.iter().flat_map(|odd| [(*odd).to_owned(), format!("a{odd}"), format!("a{odd}b")]);
        let others = ["..", "../a", "a/../b", ".", "a..b/c", "{a}:b", "a:b:*", "", " ", "a ", "\u{feff}a"];
        let huge = ["x", "\u{1b}", "é", ":"].map(|part| part.repeat(1 << 20));
        for name in placed.chain(others.map(ToOwned::to_owned)).chain(huge) {
            let refused = check_name(&name);
            let Err(error) = refused else { panic!("{:?} is a name", name.get(..20).unwrap_or(&name)) };
            let said = error.to_string();
            assert!(!said.contains(char::is_control), "{said:?}");
            assert!(said.len() < 500, "{} bytes", said.len());
        }
    }
}
