//! A client's connection, for one question after the other.
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use proto::jute::frame;
use proto::jute::read::Reader;
use proto::jute::write::Writer as _;
use proto::{Code, OpCode};

const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long a member may take to answer. A change of members waits for those that are new.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// As long as the answer may take: nothing else is said meanwhile.
const SESSION_TIMEOUT_MS: i32 = 60_000;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const CONFIG: &str = "/zookeeper/config";

/// A session with a member.
pub(super) struct Call {
    stream: TcpStream,
    received: BytesMut,
    xid: i32,
}

/// Who comes, and who goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) joining: String,
    pub(super) leaving: String,
}

impl Call {
    /// Opens a session, and proves who asks if that is given.
    ///
    /// # Errors
    /// In words.
    pub(super) fn to(address: &str, auth: &str) -> anyhow::Result<Self> {
        let mut last = anyhow::anyhow!("the name has no address");
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
                Ok(stream) => return Self::greet(stream, auth),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    fn greet(stream: TcpStream, auth: &str) -> anyhow::Result<Self> {
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.set_nodelay(true)?;
        let mut call = Self { stream, received: BytesMut::new(), xid: 0 };
        call.send(|out| {
            out.int(0);
            out.long(0);
            out.int(SESSION_TIMEOUT_MS);
            out.long(0);
            out.buffer(Some(&[0; 16]));
            out.boolean(false);
        })?;
        let mut welcome = Reader::new(call.receive().context("no session is given: does the member serve?")?);
        let (_version, timeout_ms) = (welcome.int()?, welcome.int()?);
        anyhow::ensure!(timeout_ms > 0, "no session is given");
        if let Some((scheme, credentials)) = auth.split_once(':') {
            call.prove(scheme, credentials)?;
        } else {
            anyhow::ensure!(auth.is_empty(), "`--auth` is not scheme:credentials");
        }
        Ok(call)
    }

    fn prove(&mut self, scheme: &str, credentials: &str) -> anyhow::Result<()> {
        const XID: i32 = -4;
        self.send(|out| {
            out.int(XID);
            out.int(OpCode::Auth.to_wire());
            out.int(0);
            out.text(scheme);
            out.buffer(Some(credentials.as_bytes()));
        })?;
        self.answer(XID).context("the credentials are refused").map(drop)
    }

    /// Who the members are.
    ///
    /// # Errors
    /// In words.
    pub(super) fn members(&mut self) -> anyhow::Result<String> {
        let answer = self.ask(OpCode::GetData, |out| {
            out.text(CONFIG);
            out.boolean(false);
        })?;
        let text = data(answer)?;
        anyhow::ensure!(!text.is_empty(), "it stands alone: there are no members");
        Ok(text)
    }

    /// Asks for other members, waits until it is so, and returns who they are.
    ///
    /// # Errors
    /// In words.
    pub(super) fn reconfigure(&mut self, wish: &Wish, version: i64) -> anyhow::Result<String> {
        data(self.ask(OpCode::Reconfig, |out| {
            for list in [&wish.joining, &wish.leaving] {
                out.buffer(Some(list.as_bytes()).filter(|list| !list.is_empty()));
            }
            out.buffer(None);
            out.long(version);
        })?)
    }

    fn ask(&mut self, op: OpCode, body: impl FnOnce(&mut BytesMut)) -> anyhow::Result<Reader> {
        self.xid += 1;
        let xid = self.xid;
        self.send(|out| {
            out.int(xid);
            out.int(op.to_wire());
            body(out);
        })?;
        self.answer(xid)
    }

    fn answer(&mut self, xid: i32) -> anyhow::Result<Reader> {
        loop {
            let mut answer = Reader::new(self.receive()?);
            let (of, _zxid, error) = (answer.int()?, answer.long()?, answer.int()?);
            if of != xid {
                continue;
            }
            anyhow::ensure!(error == 0, "{}", refusal(error));
            return Ok(answer);
        }
    }

    fn send(&mut self, body: impl FnOnce(&mut BytesMut)) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        frame::put(&mut out, body);
        Ok(self.stream.write_all(&out)?)
    }

    fn receive(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Some(frame) = frame::take(&mut self.received, ANSWER_BYTES_MAX)? {
                return Ok(frame);
            }
            let mut piece = [0; 4_096];
            let read = self.stream.read(&mut piece)?;
            anyhow::ensure!(read > 0, "it has hung up");
            self.received.extend_from_slice(&piece[..read]);
        }
    }
}

impl Drop for Call {
    /// Lets the session end at once; if that does not arrive, it expires.
    fn drop(&mut self) {
        let xid = self.xid + 1;
        let _ = self.send(|out| {
            out.int(xid);
            out.int(OpCode::CloseSession.to_wire());
        });
    }
}

fn data(mut answer: Reader) -> anyhow::Result<String> {
    Ok(String::from_utf8_lossy(&answer.buffer()?.unwrap_or_default()).into_owned())
}

/// What a refusal means here.
fn refusal(error: i32) -> String {
    let code = |code: Code| code.to_wire() == error;
    let means = if code(Code::ReconfigDisabled) {
        "members are not to be changed here: reconfigEnabled=true is missing"
    } else if code(Code::ReconfigInProgress) {
        "another change of members is under way"
    } else if code(Code::NewConfigNoQuorum) {
        "too few of those that would vote are in step: do they run, and does their peer port answer?"
    } else if code(Code::NoAuth) {
        "whoever changes members needs WRITE on /zookeeper/config: --auth digest:super:password"
    } else if code(Code::BadVersion) {
        "the members have been changed meanwhile"
    } else if code(Code::BadArguments) {
        "too few voters would be left, two addresses are the same, or a line does not say where clients find the member"
    } else if code(Code::Unimplemented) {
        "it stands alone: there are no members"
    } else {
        return format!("refused with {error}");
    };
    format!("{means} ({error})")
}
