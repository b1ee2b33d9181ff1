//! Who calls, whom he means, and of which ensemble he is: the metadata of every call between members.

use proto::{ClusterId, MemberId};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tracing::warn;

use crate::cluster::Belonging;
use crate::peer::complaint::Complaints;

/// The version of the words between members. A member refuses what it may not understand.
const WORDS: u64 = 1;

const WORDS_KEY: &str = "corral-words";
const FROM_KEY: &str = "corral-from";
const TO_KEY: &str = "corral-to";
/// Absent from the calls of a member that does not know its ensemble yet.
const CLUSTER_KEY: &str = "corral-cluster";

/// Introduces a member to another in each call.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    words: MetadataValue<Ascii>,
    from: MetadataValue<Ascii>,
    to: MetadataValue<Ascii>,
    belonging: Belonging,
}

impl Introduction {
    /// Introduces `from`, which belongs there, and says that `to` is meant.
    pub(crate) fn new(from: MemberId, to: MemberId, belonging: Belonging) -> Self {
        Self { words: WORDS.into(), from: from.get().into(), to: to.get().into(), belonging }
    }
}

impl Interceptor for Introduction {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let claimed = self.belonging.claimed();
        let metadata = request.metadata_mut();
        metadata.insert(WORDS_KEY, self.words.clone());
        metadata.insert(FROM_KEY, self.from.clone());
        metadata.insert(TO_KEY, self.to.clone());
        if let Some(cluster) = claimed {
            metadata.insert(CLUSTER_KEY, cluster.get().into());
        }
        Ok(request)
    }
}

/// Refuses whoever means another member, or belongs to another ensemble. An address that leads to the wrong member, or
/// back to the caller, would make two voices of one, and so a quorum of less than a majority; one that leads to another
/// ensemble would bring its votes and its log here.
#[derive(Clone, Debug)]
pub(crate) struct Doorkeeper {
    member: MemberId,
    belonging: Belonging,
    complaints: Complaints,
}

impl Doorkeeper {
    /// Keeps the door of `member`, which belongs there.
    pub(crate) fn new(member: MemberId, belonging: Belonging) -> Self {
        Self { member, belonging, complaints: Complaints::default() }
    }

    /// A member that knows its ensemble answers nobody else, and says so. What a caller that knows of none has to say is as little
    /// good here: its log may be that of an ensemble that has begun by itself.
    pub(super) fn check_ensemble(&self, from: u64, caller: Option<ClusterId>) -> Result<(), Status> {
        let Some(own) = self.belonging.known().filter(|own| caller != Some(*own)) else { return Ok(()) };
        let theirs =
            caller.map_or_else(|| "no ensemble yet".to_owned(), |caller| format!("ensemble {caller}"));
        if caller.is_some() && self.complaints.may_be_made_about(MemberId::new(from)) {
            warn!(
                peer = from, ensemble = %own, theirs,
                "a member of another ensemble called and was refused: look at its addresses, and at those here"
            );
        }
        Err(Status::permission_denied(format!(
            "member {} belongs to ensemble {own}, and the caller, member {from}, to {theirs}",
            self.member
        )))
    }
}

impl Doorkeeper {
    /// Who calls, and of which ensemble he is, if he means this member.
    fn greet(&self, request: &Request<()>) -> Result<(u64, Option<ClusterId>), Status> {
        let metadata = request.metadata();
        let words = number(metadata, WORDS_KEY)?;
        if words != WORDS {
            return Err(Status::unimplemented(format!("speaks version {words} of these words, not {WORDS}")));
        }
        let (from, to) = (number(metadata, FROM_KEY)?, number(metadata, TO_KEY)?);
        let member = self.member.get();
        if to != member {
            return Err(Status::failed_precondition(format!("member {to} was meant, and this is {member}")));
        }
        if from == member {
            return Err(Status::failed_precondition(format!("member {from} cannot be called by itself")));
        }
        Ok((from, ensemble_of(metadata)?))
    }
}

impl Interceptor for Doorkeeper {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let (from, cluster) = self.greet(&request)?;
        self.check_ensemble(from, cluster)?;
        Ok(request)
    }
}

/// Lets in also those that know of no ensemble: for questions of members with a new log, which bring nothing here.
#[derive(Clone, Debug)]
pub(crate) struct Porter(pub(crate) Doorkeeper);

impl Interceptor for Porter {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let (from, cluster) = self.0.greet(&request)?;
        if cluster.is_some() {
            self.0.check_ensemble(from, cluster)?;
        }
        Ok(request)
    }
}

/// The number of a member that has been let in.
pub(super) fn caller<T>(request: &Request<T>) -> Result<u64, Status> {
    number(request.metadata(), FROM_KEY)
}

fn ensemble_of(metadata: &MetadataMap) -> Result<Option<ClusterId>, Status> {
    match metadata.contains_key(CLUSTER_KEY) {
        true => number(metadata, CLUSTER_KEY).map(ClusterId::new),
        false => Ok(None),
    }
}

fn number(metadata: &MetadataMap, key: &'static str) -> Result<u64, Status> {
    let value = metadata.get(key).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Status::failed_precondition(format!("no number in {key}")))
}

#[cfg(test)]
mod tests;
