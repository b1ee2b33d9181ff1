//! One question to an AdminServer.
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Asks `path` of the AdminServer at `address`, and returns as soon as it begins to answer. What follows comes with the
/// body. `authorization` is what proves who asks, as `scheme credentials`.
///
/// # Errors
/// Those of the network, in words.
pub(super) async fn get(
    address: &str,
    path: &str,
    authorization: Option<&str>,
) -> anyhow::Result<Response<Incoming>> {
    let stream = timeout(CONNECT_WAIT, TcpStream::connect(address))
        .await
        .context("no connection is made in time")?
        .context("is its AdminServer there?")?;
    let (mut asking, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection, which ends with the answer.
    tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, address);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    Ok(asking.send_request(request.body(Empty::<Bytes>::new())?).await?)
}

/// The address with the AdminServer's port, if it names none.
pub(super) fn with_admin_port(address: &str) -> String {
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    match (bare_v6, address.ends_with(']') || !address.contains(':')) {
        (true, _) => format!("[{address}]:8080"),
        (false, true) => format!("{address}:8080"),
        (false, false) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_the_port() {
        for (given, expected) in
            [("zoo1", "zoo1:8080"), ("zoo1:99", "zoo1:99"), ("::1", "[::1]:8080"), ("[::1]:99", "[::1]:99")]
        {
            assert_eq!(with_admin_port(given), expected);
        }
    }
}
