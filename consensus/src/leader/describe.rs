//! Writes down who the members are, for clients to read, as long as the files say it and not the log.

use std::time::Duration;

use proto::Text;

use crate::config::Description;
use crate::entry;
use crate::leader::Sequencer;
use crate::replica::Replica;

/// How long a leader waits for what it has proposed to be seen applied, before it says it again.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Proposes what this member, which leads, knows, if something else is written down, and returns when that stands there or
/// the member leads no more.
pub(super) async fn describe(description: &Description, replica: &Replica, sequencer: &Sequencer) {
    let Description { lines, is_certain } = description;
    let said: Vec<Text> = lines.iter().map(|line| Text::from(line.as_str())).collect();
    let differs = || replica.read(|machine| machine.wants_description(&said, *is_certain));
    while differs() {
        let Ok(entrance) = sequencer.entrance().await else { return };
        if entrance.push(entry::encode_ensemble(lines)).await.is_err() {
            continue;
        }
        let again = tokio::time::Instant::now() + REPEAT_AFTER;
        while differs() && tokio::time::Instant::now() < again {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
