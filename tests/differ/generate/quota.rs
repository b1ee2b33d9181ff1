//! Quotas: their znodes, and what is counted under them.

use fastrand::Rng;

use crate::differ::pen::Pen;
use crate::differ::step::Ask;
use crate::differ::vocabulary::{chance, pick};

const LIMITED: [&str; 4] = ["/a", "/a/a", "/b", "/ab"];

fn limits(rng: &mut Rng) -> String {
    let number = |rng: &mut Rng| *pick(rng, &[&-1, &0, &1, &2, &3, &4, &6, &8, &20, &100]);
    match rng.u32(..20) {
        0..6 => format!("count={},bytes={}", number(rng), number(rng)),
        6..17 => format!(
            "count={},bytes={}=;byteHardLimit={};countHardLimit={}",
            number(rng),
            number(rng),
            number(rng),
            number(rng)
        ),
        17 => format!("count={},bytes={}=;countHardLimit={}", number(rng), number(rng), number(rng)),
        18 => format!("bytes={}", number(rng)),
        // Where a value is missing altogether, ZooKeeper refuses everything below with -5.
        _ => (*pick(rng, &["count=1;;bytes=2,,", ";", "count=1=2"])).to_owned(),
    }
}

fn create(path: &str, data: &str) -> Ask {
    let open = [(31, Some("world".to_owned()), Some("anyone".to_owned()))];
    Pen::default().text(Some(path)).buffer(Some(data.as_bytes())).acl(Some(&open)).int(0).ask(1)
}

/// A quota as zkCli makes it, in requests.
pub(super) fn set(rng: &mut Rng, path: &str) -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut folder = "/zookeeper/quota".to_owned();
    for part in path.split('/').skip(1) {
        folder.push('/');
        folder.push_str(part);
        asks.push(create(&folder, ""));
    }
    asks.push(create(&format!("{folder}/zookeeper_limits"), &limits(rng)));
    asks.push(create(&format!("{folder}/zookeeper_stats"), "count=0,bytes=0"));
    asks
}

/// What is to have a quota.
pub(super) fn limited(rng: &mut Rng) -> &'static str {
    LIMITED[rng.usize(..LIMITED.len())]
}

/// Something about a quota's znodes. ZooKeeper counts only where there are both limits and statistics, and goes on from
/// what it finds: so limits are never taken away here, and statistics are made new or not at all.
pub(super) fn ask(rng: &mut Rng, limited: &[&'static str]) -> Ask {
    let path = pick(rng, limited);
    let folder = format!("/zookeeper/quota{path}");
    let (limits_node, stats) = (format!("{folder}/zookeeper_limits"), format!("{folder}/zookeeper_stats"));
    match rng.u32(..20) {
        0..6 => Pen::default().text(Some(&stats)).byte(u8::from(chance(rng, 30))).ask(4),
        6..8 => Pen::default().text(Some(&limits_node)).byte(u8::from(chance(rng, 30))).ask(4),
        8..11 => {
            let text = limits(rng);
            Pen::default().text(Some(&limits_node)).buffer(Some(text.as_bytes())).int(-1).ask(5)
        }
        11..13 => create(&stats, "count=0,bytes=0"),
        13 => create(&limits_node, &limits(rng)),
        14..16 => Pen::default().text(Some(&stats)).int(-1).ask(2),
        16 => Pen::default().text(Some(&folder)).byte(0).ask(12),
        // What stands directly below is nobody's quota, and to create limits there stops ZooKeeper for ever.
        17 => Pen::default().text(Some("/zookeeper/quota/zookeeper_limits")).int(-1).ask(2),
        // Within the limits, and beyond.
        _ => Pen::default().text(Some(path)).buffer(Some(&[b'q'; 9])).int(-1).ask(5),
    }
}

/// Whether a request may write the limits of a quota.
pub(super) fn sets_limits(ask: &Ask) -> bool {
    const NAME: &[u8] = b"/zookeeper_limits";
    ask.body.windows(NAME.len()).any(|part| part == NAME)
}
