//! How much clients may ask of this member at a time, all together (PROTOCOL, section "Limits and throttling").
use std::time::Duration;

use super::error::ConfigError;
use super::settings::Settings;

/// Requests that were received and not answered, by default.
const OUTSTANDING: usize = 1_000;

/// How much clients may ask of this member at a time, all together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Requests that were received and not answered. Beyond it a connection that has one of them is not read.
    pub outstanding: usize,
    /// How often clients may greet; `None` for as often as they like.
    pub greetings: Option<GreetingThrottle>,
    /// How much may be under way; `None` for as much as connections are allowed.
    pub requests: Option<RequestThrottle>,
    /// How many bytes of large requests there may be; `None` for as many as there are.
    pub large: Option<LargeRequests>,
}

/// A bucket of tokens: every greeting takes some, and time brings them back. The names are those of ZooKeeper's keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GreetingThrottle {
    /// What the bucket holds.
    pub tokens: u32,
    /// After how long `fill_count` of them are brought back.
    pub fill_time: Duration,
    /// See `fill_time`.
    pub fill_count: u32,
    /// How long the chance of being turned away stays as it is; `None` if there is none while there are tokens.
    pub freeze_time: Option<Duration>,
    /// By how much it grows when the bucket is found empty.
    pub drop_increase: f64,
    /// By how much it falls when the bucket is found rather full.
    pub drop_decrease: f64,
    /// What share of the tokens may be gone in a bucket that is rather full.
    pub decrease_ratio: f64,
    /// What a greeting takes that opens a session.
    pub open_weight: u32,
    /// What a greeting takes that comes back to one.
    pub renew_weight: u32,
}

/// How much may be under way, and what becomes of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests that may be under way.
    pub max: usize,
    /// After how long it is looked again whether there is room for those that wait.
    pub stall: Duration,
    /// Requests that had to wait for longer are refused; `None` if nobody waits too long.
    pub wait_max: Option<Duration>,
    /// Whether a request that has waited for longer than its session's timeout is too old.
    pub stale_latency: bool,
    /// Whether the connection is closed whose request is too old.
    pub drop_stale: bool,
}

/// How many bytes of large requests there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeRequests {
    /// A request of more bytes is a large one.
    pub threshold: usize,
    /// Bytes of all of them. The connection that sends what would be more is closed.
    pub bytes: usize,
}

impl LargeRequests {
    /// Whether a request of so many bytes is a large one.
    pub const fn is_large(&self, bytes: usize) -> bool {
        bytes > self.threshold
    }
}

/// Reads it; `members` are those of the ensemble.
///
/// # Errors
/// A value is none that it can be.
pub(super) fn throttle(settings: &Settings, members: usize) -> Result<Throttle, ConfigError> {
    let outstanding = settings.number("globalOutstandingLimit", 1..=usize::MAX)?.unwrap_or(OUTSTANDING);
    Ok(Throttle {
        // In ZooKeeper it is the leader who has them all, from so many followers.
        outstanding: if members > 2 { (outstanding / (members - 1)).max(1) } else { outstanding },
        greetings: greetings(settings)?,
        requests: requests(settings)?,
        large: large(settings)?,
    })
}

fn greetings(settings: &Settings) -> Result<Option<GreetingThrottle>, ConfigError> {
    // The name of the system property, and the one that the administrator's guide gives to the same.
    let number = |names: [&str; 2], least: i64, default: i64| -> Result<i64, ConfigError> {
        let key = written(settings, names);
        Ok(settings.number(key, least..=i64::from(i32::MAX))?.unwrap_or(default))
    };
    let share = |names: [&str; 2], default: f64| -> Result<f64, ConfigError> {
        let key = written(settings, names);
        Ok(settings.number(key, 0.0..=1.0)?.unwrap_or(default))
    };
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    let millis = |number: i64| u64::try_from(number).ok().map(Duration::from_millis);

    let tokens = number(["connection_throttle_tokens", "connectionMaxTokens"], 0, 0)?;
    let fill_time = number(["connection_throttle_fill_time", "connectionTokenFillTime"], 1, 1)?;
    let fill_count = number(["connection_throttle_fill_count", "connectionTokenFillCount"], 1, 1)?;
    let freeze_time = number(["connection_throttle_freeze_time", "connectionFreezeTime"], -1, -1)?;
    let drop_increase = share(["connection_throttle_drop_increase", "connectionDropIncrease"], 0.02)?;
    let drop_decrease = share(["connection_throttle_drop_decrease", "connectionDropDecrease"], 0.002)?;
    let decrease_ratio = share(["connection_throttle_decrease_ratio", "connectionDecreaseRatio"], 0.0)?;
    let weighted = settings.flag("connection_throttle_weight_enabled")?.unwrap_or(false);
    let weight = |key: &str, default: u32| -> Result<u32, ConfigError> {
        let weight = settings.number(key, 1..=i32::MAX.cast_unsigned())?.unwrap_or(default);
        Ok(if weighted { weight } else { 1 })
    };
    let open_weight = weight("connection_throttle_global_session_weight", 3)?;
    let renew_weight = weight("connection_throttle_renew_session_weight", 2)?;
    Ok((tokens > 0).then_some(GreetingThrottle {
        tokens: count(tokens),
        fill_time: millis(fill_time).unwrap_or_default(),
        fill_count: count(fill_count),
        freeze_time: millis(freeze_time),
        drop_increase,
        drop_decrease,
        decrease_ratio,
        open_weight,
        renew_weight,
    }))
}

fn requests(settings: &Settings) -> Result<Option<RequestThrottle>, ConfigError> {
    let millis = |names: [&str; 2], default: u64| -> Result<u64, ConfigError> {
        let key = written(settings, names);
        Ok(settings.number(key, 0..=u64::from(u32::MAX))?.unwrap_or(default))
    };
    let flag = |names: [&str; 2], default: bool| -> Result<bool, ConfigError> {
        Ok(settings.flag(written(settings, names))?.unwrap_or(default))
    };
    let max = settings
        .number(written(settings, ["request_throttle_max_requests", "requestThrottleLimit"]), 0..=usize::MAX)?
        .unwrap_or(0);
    let stall = millis(["request_throttle_stall_time", "requestThrottleStallTime"], 100)?;
    let wait_max = millis(["throttled_op_wait_time", "throttledOpWaitTime"], 0)?;
    let drop_stale = flag(["request_throttle_drop_stale", "requestThrottleDropStale"], true)?;
    let stale_latency = flag(["request_stale_latency_check", "requestStaleLatencyCheck"], false)?;
    Ok((max > 0).then_some(RequestThrottle {
        max,
        stall: Duration::from_millis(stall.max(1)),
        wait_max: (wait_max > 0).then(|| Duration::from_millis(wait_max)),
        stale_latency,
        drop_stale,
    }))
}

fn large(settings: &Settings) -> Result<Option<LargeRequests>, ConfigError> {
    let threshold = settings.number("largeRequestThreshold", -1..=i64::from(i32::MAX))?;
    let bytes = settings.number("largeRequestMaxBytes", 1..=usize::MAX)?.unwrap_or(100 << 20);
    let threshold = threshold.and_then(|threshold| usize::try_from(threshold).ok());
    Ok(threshold.map(|threshold| LargeRequests { threshold, bytes }))
}

/// Under which of two names it was written; the first if under neither.
fn written<'a>(settings: &Settings, [property, guide]: [&'a str; 2]) -> &'a str {
    if settings.text(property).is_none() && settings.text(guide).is_some() { guide } else { property }
}
