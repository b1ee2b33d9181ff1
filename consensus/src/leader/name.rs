//! Gives the ensemble its name, while this member leads one that has none.

use std::sync::Arc;
use std::time::Duration;

use proto::ClusterId;

use crate::entry;
use crate::leader::{Leadership, Sequencer};
use crate::replica::Replica;
use crate::runtime::watch;

/// How long a leader waits for the name to be seen applied, before it says it again.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Until the ensemble has a name: whenever this member leads, proposes what it has drawn.
pub(crate) async fn name(
    drawn: ClusterId,
    mut leadership: watch::Receiver<Leadership>,
    replica: Arc<Replica>,
    sequencer: Sequencer,
) {
    let is_named = || replica.read(|machine| machine.cluster().is_some());
    while !is_named() {
        if leadership.wait_for(|leadership| leadership.own).await.is_err() {
            return;
        }
        let Ok(entrance) = sequencer.entrance().await else { return };
        if is_named() {
            return;
        }
        let pushed = entrance.push(entry::encode_name(drawn)).await.is_ok();
        let applied = async {
            while !is_named() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if pushed {
            // If another has come first, the world keeps that one.
            let _ = tokio::time::timeout(REPEAT_AFTER, applied).await;
        }
    }
}
