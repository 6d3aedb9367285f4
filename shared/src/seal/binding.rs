//! Where a seal belongs: the text that is authenticated with it.

use std::fmt::{self, Display};

/// Where a seal belongs. None of its parts holds a line break, so no two bindings are one text.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// What the keys of the installation begin with.
    pub prefix: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// What it is there.
    pub what: What<'a>,
}

/// What is sealed.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// What a job is given.
    Args {
        /// Its kind.
        kind: &'a str,
        /// The version of its arguments.
        version: u32,
        /// Whose they are.
        of: Owner<'a>,
    },
    /// What this job has returned.
    Result(&'a str),
    /// What this job was given, as the history is told.
    History(&'a str),
    /// Not sealed, but hidden: a unique key.
    Unique(&'a str),
}

/// Whose arguments they are.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// The job's.
    Job(&'a str),
    /// Those of whichever job has this unique key: of one that replaces another and takes over its id.
    Key(&'a str),
}

impl Display for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "brasa\n{}\n{}\n", self.prefix, self.queue)?;
        match self.what {
            What::Args { kind, version, of: Owner::Job(id) } => {
                write!(f, "args\n{kind}\n{version}\njob\n{id}")
            }
            What::Args { kind, version, of: Owner::Key(key) } => {
                write!(f, "args\n{kind}\n{version}\nunique\n{key}")
            }
            What::Result(id) => write!(f, "result\n{id}"),
            What::History(id) => write!(f, "history\n{id}"),
            What::Unique(key) => write!(f, "unique\n{key}"),
        }
    }
}
