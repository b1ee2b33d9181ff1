//! What members tell of themselves in numbers.

use super::Ensemble;

impl Ensemble {
    /// What a member's `mntr` says of this metric.
    ///
    /// # Panics
    /// If it cannot be asked, or says nothing of that.
    #[track_caller]
    pub fn metric(&self, id: usize, name: &str) -> i64 {
        let text = self.four_letter(id, "mntr").unwrap_or_else(|error| panic!("ask member {id}: {error:#}"));
        number(&text, name)
    }
}

/// The number of a metric in what `mntr` has said.
///
/// # Panics
/// If it is not there.
#[track_caller]
pub fn number(mntr: &str, name: &str) -> i64 {
    let mut lines = mntr.lines().filter_map(|line| line.strip_prefix("zk_")?.split_once('\t'));
    let found = lines.find(|(of, _)| *of == name).and_then(|(_, number)| number.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {mntr}"))
}
