//! What stands there before a page begins: `scenes/PAGE.sh`, a script that runs first in the page's shell, and its
//! remarks to the test. A remark is a line that begins with `#: `, and quotes with backticks:
//!
//! ```text
//! #: say `TEXT` as `TEXT`       a piece of the page's commands is typed otherwise
//! #: ends with N `COMMAND`      the exit code of a command, where it is not 0
//! #: differs `COMMAND`          what it prints is not compared with what is shown
//! #: apart `[TABLE]`            a piece of configuration does not go into the page's brasa.toml with the others
//! #: needs `WHAT`               python, node, fastapi or express; else the page is not performed, which is said
//! ```
//!
//! Variables that the script sets fill the words of the page that are called like them, such as `ID` and `NAME`. A
//! function `after` is called at the page's end.

use std::fs;
use std::path::Path;

use super::page::root;

/// A scene.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) script: String,
    pub(super) said_as: Vec<(String, String)>,
    pub(super) ends_with: Vec<(i32, String)>,
    pub(super) differs: Vec<String>,
    pub(super) apart: Vec<String>,
    pub(super) needs: Vec<String>,
}

impl Scene {
    /// The scene of a page.
    pub(super) fn of(page: &str) -> Self {
        let name = Path::new(page).file_stem().unwrap().to_str().unwrap();
        let path = root().join("tests/it/manual/scenes").join(format!("{name}.sh"));
        let mut scene = Self { script: fs::read_to_string(path).unwrap_or_default(), ..Self::default() };
        for line in scene.script.clone().lines().filter_map(|line| line.strip_prefix("#: ")) {
            scene.remark(line);
        }
        scene
    }

    fn remark(&mut self, line: &str) {
        let quotes: Vec<String> = line.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        let words: Vec<&str> = line.split('`').next().unwrap().split_whitespace().collect();
        match (words.as_slice(), quotes.as_slice()) {
            (["say"], [from, to]) => self.said_as.push((from.clone(), to.clone())),
            (["ends", "with", code], [command]) => {
                self.ends_with.push((code.parse().unwrap(), command.clone()));
            }
            (["differs"], [command]) => self.differs.push(command.clone()),
            (["apart"], [table]) => self.apart.push(table.clone()),
            (["needs"], [what]) => self.needs.push(what.clone()),
            _ => panic!("no remark of a scene: {line}"),
        }
    }

    /// A command as it is typed.
    pub(super) fn say(&self, command: &str) -> String {
        self.said_as.iter().fold(command.to_owned(), |said, (from, to)| said.replace(from, to))
    }

    /// The exit code of a command, if it is known.
    pub(super) fn code(&self, command: &str) -> Option<i32> {
        self.ends_with.iter().find(|(_, known)| known == command).map(|(code, _)| *code)
    }

    /// Remarks about things that the page does not have.
    pub(super) fn stale(&self, page: &str) -> Vec<String> {
        let plain = page.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = self.said_as.iter().map(|(from, _)| from);
        let all = said
            .chain(self.ends_with.iter().map(|(_, command)| command))
            .chain(&self.differs)
            .chain(&self.apart);
        let is_there = |text: &String| plain.contains(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        all.filter(|text| !is_there(text)).cloned().collect()
    }
}
