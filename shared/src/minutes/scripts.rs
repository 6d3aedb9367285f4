//! The table of scripts. A script is a file in `lua/`; its header is its contract.

use crate::script::scripts;

scripts! {
    rest EACH;
    COUNT = "count", oom_allowed, [];
    TELL  = "tell",  oom_allowed, [];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::contract::holds;

    #[test]
    fn every_script_file_is_in_the_table_and_keeps_its_contract() {
        holds("src/minutes/lua", "EACH", ALL);
    }
}
