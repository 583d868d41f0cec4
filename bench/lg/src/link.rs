//! A client's connection: a socket, with TLS over it where that is asked for.

use std::io::{self, Read, Write};
use std::net::SocketAddrV4;

use rustls::{ClientConnection, HandshakeKind};

use crate::sys::Socket;
use crate::tls::Tls;

pub struct Link {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    /// Begins to connect; the handshake follows with what is sent and received first.
    pub fn connect(source: u32, to: SocketAddrV4, tls: Option<&Tls>) -> io::Result<Self> {
        let socket = Socket::connect(source, to)?;
        Ok(Self { socket, tls: tls.map(Tls::connection).transpose()? })
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether the connection's handshake resumed an earlier one's session; `None` before its end and without TLS.
    pub fn resumed(&self) -> Option<bool> {
        Some(self.tls.as_ref()?.handshake_kind()? == HandshakeKind::Resumed)
    }

    /// Sends all of `bytes` and answers their number, or an error: the generator's requests fit into an empty
    /// socket buffer. With TLS they are kept until the handshake is done.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.send(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                flush(tls, &self.socket)?;
                Ok(bytes.len())
            }
        }
    }

    /// Reads once. With TLS an answer of `WouldBlock` may mean that only a part of a record or of the handshake came.
    /// `into` has room for all that one read can bring.
    pub fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.receive(into) };
        let mut sealed = [0; 65536];
        let count = self.socket.receive(&mut sealed)?;
        if count == 0 {
            return Ok(0);
        }
        let (mut sealed, mut opened) = (&sealed[..count], 0);
        while !sealed.is_empty() {
            tls.read_tls(&mut sealed)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            opened += drain(tls, &mut into[opened..])?;
        }
        flush(tls, &self.socket)?;
        if opened == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(opened) }
    }
}

/// Takes all the plain text that there is.
fn drain(tls: &mut ClientConnection, into: &mut [u8]) -> io::Result<usize> {
    let mut taken = 0;
    loop {
        match tls.reader().read(&mut into[taken..]) {
            Ok(0) => return Ok(taken),
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
            Err(error) => return Err(error),
        }
    }
}

fn flush(tls: &mut ClientConnection, socket: &Socket) -> io::Result<()> {
    while tls.wants_write() {
        if let Err(error) = tls.write_tls(&mut Sender(socket)) {
            // as an error of its own kind: the caller must not wait for room
            return Err(io::Error::other(error));
        }
    }
    Ok(())
}

/// A socket as what rustls writes to.
struct Sender<'a>(&'a Socket);

impl Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
