//! A wire between two members that a test may cut.
//!
//! What is on a wire that is cut is held, and goes on when the wire is whole again: so TCP behaves on a network that
//! loses everything for a while. Neither end hears that the wire is cut. A wire that is torn loses what is on it, and
//! both ends hear of it at once.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Takes connections and passes on what comes, in both directions, until it is cut or dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    wire: Arc<Wire>,
}

#[derive(Debug, Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

/// One of the two ways that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever dialled.
    There,
    /// To whoever dialled.
    Back,
}

#[derive(Debug, Default)]
struct State {
    is_cut_there: bool,
    is_cut_back: bool,
    is_torn: bool,
    is_over: bool,
    /// Both ends of each connection.
    ends: Vec<TcpStream>,
}

impl Relay {
    /// Begins to listen at a port of its own, for connections to `target`.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn to(target: SocketAddr) -> io::Result<Self> {
        // Any port will do: it is taken as long as this lives, so nobody is given it for an outgoing connection.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let wire = Arc::<Wire>::default();
        let shared = wire.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.is_over() {
                    return;
                }
                let wire = shared.clone();
                // Beside the others, because a connection cannot be made while the wire is cut.
                thread::spawn(move || wire.connect(&stream, target));
            }
        });
        Ok(Self { address, wire })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds everything from now on.
    pub fn cut(&self) {
        self.wire.set(|state| (state.is_cut_there, state.is_cut_back) = (true, true));
    }

    /// Holds what goes one way; what goes the other way arrives. New connections need both.
    pub fn cut_way(&self, way: Way) {
        self.wire.set(|state| match way {
            Way::There => state.is_cut_there = true,
            Way::Back => state.is_cut_back = true,
        });
    }

    /// Ends all connections, and makes none from now on.
    pub fn tear(&self) {
        self.wire.set(|state| {
            state.is_torn = true;
            state.hang_up();
        });
    }

    /// Lets everything go on that is still there, and makes connections again.
    pub fn mend(&self) {
        self.wire.set(|state| {
            (state.is_cut_there, state.is_cut_back, state.is_torn) = (false, false, false);
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wire.set(|state| {
            state.is_over = true;
            state.hang_up();
        });
        // Wakes the one who waits for connections.
        let _woken = TcpStream::connect(self.address);
    }
}

impl State {
    fn hang_up(&mut self) {
        for end in self.ends.drain(..) {
            let _closed = end.shutdown(Shutdown::Both);
        }
    }
}

impl Wire {
    /// Joins a connection with one to `target`. Who cannot be joined is hung up.
    fn connect(self: Arc<Self>, near: &TcpStream, target: SocketAddr) {
        if !self.wait_until(|state| !state.is_cut_there && !state.is_cut_back) {
            return;
        }
        let Ok(far) = TcpStream::connect(target) else { return };
        let ends = || {
            for end in [near, &far] {
                end.set_nodelay(true)?;
            }
            io::Result::Ok((near.try_clone()?, far.try_clone()?))
        };
        let (Ok((near_too, far_too)), Ok((near_end, far_end))) = (ends(), ends()) else { return };
        {
            let mut state = self.lock();
            if state.is_torn || state.is_over {
                return;
            }
            state.ends.extend([near_end, far_end]);
        }
        let wire = self.clone();
        let back = thread::spawn(move || wire.carry(&far_too, &near_too, Way::Back));
        self.carry(near, &far, Way::There);
        let _ended = back.join();
    }

    /// Carries bytes one way until that way ends, and then ends it at the other side too.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, way: Way) {
        let mut chunk = [0; 64 << 10];
        loop {
            let read = from.read(&mut chunk);
            let is_open = |state: &State| match way {
                Way::There => !state.is_cut_there,
                Way::Back => !state.is_cut_back,
            };
            if !self.wait_until(is_open) {
                break;
            }
            match read {
                Ok(0) => {
                    let _closed = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(count) if to.write_all(&chunk[..count]).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        for end in [from, to] {
            let _closed = end.shutdown(Shutdown::Both);
        }
    }

    /// Waits while the wire is cut. `false` if it is torn, or there no more.
    fn wait_until(&self, is_open: impl Fn(&State) -> bool) -> bool {
        let state = self.lock();
        let is_held = |state: &mut State| !is_open(state) && !state.is_torn && !state.is_over;
        let state = self.changed.wait_while(state, is_held);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        !state.is_torn && !state.is_over
    }

    fn is_over(&self) -> bool {
        self.lock().is_over
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_on_a_cut_wire_is_held_and_then_goes_on() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::to(listener.local_addr().unwrap()).unwrap();
        let mut near = TcpStream::connect(relay.address()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut byte = [0];
        near.write_all(b"a").unwrap();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"a");

        relay.cut();
        near.write_all(b"b").unwrap();
        far.write_all(b"c").unwrap();
        let late = TcpStream::connect(relay.address()).unwrap();
        for end in [&mut near, &mut far] {
            end.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            assert!(end.read_exact(&mut byte).is_err(), "something passed through a cut wire");
            end.set_read_timeout(None).unwrap();
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "a connection was made through a cut wire");
        listener.set_nonblocking(false).unwrap();

        relay.mend();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"b");
        near.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"c");
        drop(listener.accept().unwrap());
        assert_eq!((&late).read(&mut byte).unwrap(), 0, "what the target ends is ended");

        far.write_all(b"e").unwrap();
        near.read_exact(&mut byte).unwrap();
        relay.tear();
        for end in [&mut near, &mut far] {
            assert!(end.read(&mut byte).map_or(true, |count| count == 0), "a torn wire has two ends");
        }
        let mut late = TcpStream::connect(relay.address()).unwrap();
        assert!(late.read(&mut byte).map_or(true, |count| count == 0), "a torn wire takes nobody");
        relay.mend();
        near = TcpStream::connect(relay.address()).unwrap();
        (far, _) = listener.accept().unwrap();
        near.write_all(b"f").unwrap();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"f");

        relay.cut_way(Way::There);
        far.write_all(b"g").unwrap();
        near.read_exact(&mut byte).unwrap();
        near.write_all(b"h").unwrap();
        far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(far.read_exact(&mut byte).is_err(), "something passed the way that is cut");
        far.set_read_timeout(None).unwrap();
        relay.mend();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"h");

        drop(relay);
        assert!(near.write_all(b"d").is_err() || near.read(&mut byte).map_or(true, |count| count == 0));
    }
}
