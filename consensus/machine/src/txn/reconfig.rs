//! Other members: what may be asked for, and by whom.
//!
//! The refusals stand in the order of PROTOCOL, section "`/zookeeper/config` and reconfig". To do what passes them all
//! takes the members, not the tree: that is the leader's business. Only it knows, too, whether the new members would be in
//! step, which ZooKeeper asks before it asks who asks.

use std::collections::{BTreeMap, BTreeSet};

use proto::request::Reconfig;
use proto::server_line::{PeerAddress, ServerLine, bracketed, is_wildcard};
use proto::{Code, Permissions, Text};

use crate::acl;
use crate::command::Identities;
use crate::ensemble::{self, member};
use crate::rules::Rules;
use crate::tree::{CONFIG, Tree};

type Members = BTreeMap<u64, ServerLine>;

/// Who the members are to be, as lines in order of their numbers; `underway` says that another change is not done yet.
pub(crate) fn reconfig(
    tree: &Tree,
    who: Identities<'_>,
    rules: Rules,
    underway: bool,
    request: &Reconfig,
) -> Result<Vec<Text>, Code> {
    if !rules.contains(Rules::RECONFIG_ENABLED) {
        return Err(Code::ReconfigDisabled);
    }
    let (current, version) = ensemble::members(tree).ok_or(Code::Unimplemented)?;
    if underway {
        return Err(Code::ReconfigInProgress);
    }
    if request.version != -1 && request.version != version {
        return Err(Code::BadVersion);
    }
    let wanted = wanted(current, request).ok_or(Code::BadArguments)?;
    let voters = wanted.values().filter(|line| !line.observer).count();
    let least = if rules.contains(Rules::STANDALONE_DISABLED) { 1 } else { 2 };
    if voters < least || clash(&wanted) {
        return Err(Code::BadArguments);
    }
    let config = tree.get(CONFIG).ok_or(Code::NoNode)?;
    acl::require(&config.acl, who, Permissions::WRITE)?;
    Ok(wanted.iter().map(|(id, line)| ensemble::written(*id, line)).collect())
}

/// Who the members are to be; `None` if that cannot be read.
fn wanted(mut members: Members, request: &Reconfig) -> Option<Members> {
    if let Some(all) = &request.members {
        let lines = all.split([',', '\n']).map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("version="));
        return lines.map(member).collect();
    }
    for id in given(request.leaving.as_deref()) {
        members.remove(&id.parse().ok()?);
    }
    for line in given(request.joining.as_deref()) {
        let (id, line) = member(line)?;
        // Who joins while the others run says where its clients find it.
        line.client.as_ref()?;
        members.insert(id, line);
    }
    Some(members)
}

fn given(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.into_iter().flat_map(|list| list.split(',')).map(str::trim).filter(|part| !part.is_empty())
}

/// Whether two members, or two ports of one, have the same address.
fn clash(members: &Members) -> bool {
    let mut taken = BTreeSet::new();
    let peers = members.values().flat_map(ServerLine::addresses).flat_map(|address| {
        let PeerAddress { host, peer_port, election_port } = address;
        [peer_port, election_port].map(|port| format!("{}:{port}", bracketed(host)))
    });
    let clients = members.iter().flat_map(|(id, line)| {
        // A wildcard stands for the member's own host.
        let own = move |host: &str| if is_wildcard(host) { format!("member {id}") } else { bracketed(host) };
        [&line.client, &line.secure]
            .into_iter()
            .flatten()
            .map(move |client| format!("{}:{}", own(&client.host), client.port))
    });
    !peers.chain(clients).all(|address| taken.insert(address))
}
