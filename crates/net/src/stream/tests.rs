use super::*;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

async fn tcp() -> (Stream, Stream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialed = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (dialed.into(), listener.accept().await.unwrap().0.into())
}

#[tokio::test]
async fn closes_in_two_ways() {
    let (one, mut other) = tcp().await;
    drop(one);
    assert_eq!(other.read(&mut [0]).await.unwrap(), 0);

    let (one, mut other) = tcp().await;
    one.reset();
    let error = other.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (one, other) = UnixStream::pair().unwrap();
    Stream::from(one).reset();
    assert_eq!(Stream::from(other).read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn reads_without_a_buffer_while_waiting() {
    let (mut one, mut other) = tcp().await;
    let mut buf = [0; 8];
    assert!(other.is_quiet());
    let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
    assert_eq!(one.write_vectored(&slices).await.unwrap(), 4);
    poll_fn(|cx| other.poll_read_ready(cx)).await.unwrap();
    assert!(!other.is_quiet());
    assert_eq!(other.read(&mut buf).await.unwrap(), 4);
    one.shutdown().await.unwrap();
    assert_eq!(other.read(&mut buf).await.unwrap(), 0);
    assert!(one.plain_fd().is_some() && one.is_write_vectored());
    assert!(one.take_error().unwrap().is_none());
}

#[tokio::test]
async fn a_connection_that_was_not_redirected_has_no_other_destination() {
    let (one, _other) = tcp().await;
    match crate::original_dst(&one) {
        Ok(addr) => assert_eq!(Some(addr), one.local_addr().unwrap().as_ip()), // it is tracked
        Err(error) => assert!(error.raw_os_error().is_some()),
    }
    let (one, _other) = UnixStream::pair().unwrap();
    let error = crate::original_dst(&one.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Says "abc", then that it failed, then that it has ended, as many streams do.
#[derive(Debug)]
struct FailsOnce(u8);

impl AsyncRead for FailsOnce {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0 += 1;
        match self.0 {
            1 => buf.put_slice(b"abc"),
            2 => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            _ => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FailsOnce {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Io for FailsOnce {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        Err(gone())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        Err(gone())
    }
}

#[tokio::test]
async fn an_error_that_was_met_while_looking_is_told_by_a_read() {
    // Met by a read that had something else to give.
    let mut stream = Stream::boxed(FailsOnce(0));
    poll_fn(|cx| stream.poll_read_ready(cx)).await.unwrap();
    let mut buf = [0; 8];
    assert_eq!(stream.read(&mut buf).await.unwrap(), 3);
    let error = stream.read(&mut buf).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    // Met by a look.
    let mut stream = Stream::boxed(FailsOnce(0));
    assert_eq!(stream.read(&mut buf).await.unwrap(), 3);
    poll_fn(|cx| stream.poll_read_ready(cx)).await.unwrap();
    assert!(!stream.is_quiet());
    let error = stream.read(&mut buf).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
}
