//! The file that `dynamicConfigFile` names: members, and nothing else.
use std::path::Path;

use super::error::{ConfigError, Place};
use super::settings::Settings;
use super::surroundings::Surroundings;
use super::{keys, properties};

/// Reads the file; `place` is where it was named.
///
/// # Errors
/// It cannot be read, or holds more than members.
pub(super) fn read(file: &Path, place: &Place, around: &dyn Surroundings) -> Result<Settings, ConfigError> {
    let text = around
        .read(file)
        .map_err(|error| ConfigError::at(place, format!("{} cannot be read ({error})", file.display())))?;
    let lines = properties::parse(&text, file)?;
    for line in &lines {
        let key = keys::unprefixed(&line.key);
        if !["server.", "group.", "weight."].iter().any(|stem| key.starts_with(stem)) {
            let message = format!("`{}` has no place in a file that says who the members are", line.key);
            return Err(ConfigError::at(&line.place, message));
        }
    }
    Settings::gather(lines)
}
