//! Just enough HTTP/1.1 to stand in for AWS on loopback: a server that shows each request as it came over the wire and
//! can misbehave on purpose, and a client that asks once per connection.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::iter;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use crate::acceptor::Acceptor;

/// The longest request or response head that is read.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Header fields in the order they came in.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the first field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Adds a field.
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    fn content_length(&self) -> Option<usize> {
        self.get("content-length")?.parse().ok()
    }

    fn is_chunked(&self) -> bool {
        self.get("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The request target byte for byte: path and query, nothing decoded.
    pub target: String,
    /// The header fields.
    pub headers: Headers,
    /// The body, with any chunking taken off.
    pub body: Vec<u8>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A response without header fields of its own.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: body.into(),
        }
    }
}

/// What a server does about a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers it.
    Answer(Answer),
    /// Ends the connection with a reset (RST), as a crashing peer does.
    Reset,
    /// Ends the connection in good order, but without an answer.
    Close,
    /// Answers nothing until the client gives up or the server is dropped.
    Hang,
}

/// A server on a free loopback port, with a thread for each connection. Dropping it ends all of them.
#[derive(Debug)]
pub struct Server(Acceptor);

impl Server {
    /// Serves `handler`, which connections call at the same time.
    pub fn start(handler: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.expect("loopback has a free port");
        let handler = Arc::new(handler);
        let mut connections = Connections::default();
        let serve = move |stream| connections.serve(stream, &handler);
        Self(Acceptor::start(listener, serve))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// The threads of all connections, and those that are open by number, so that they end with this value.
#[derive(Default)]
struct Connections {
    open: Arc<Mutex<HashMap<usize, TcpStream>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Connections {
    fn serve<H>(&mut self, stream: TcpStream, handler: &Arc<H>)
    where
        H: Fn(Request) -> Reply + Send + Sync + 'static,
    {
        let number = self.threads.len();
        if let Ok(clone) = stream.try_clone() {
            lock(&self.open).insert(number, clone);
        }
        let (open, handler) = (Arc::clone(&self.open), Arc::clone(handler));
        self.threads.push(thread::spawn(move || {
            serve(&stream, handler.as_ref());
            // The last two handles on the connection: only now it is closed.
            lock(&open).remove(&number);
            drop(stream);
        }));
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for (_, connection) in lock(&self.open).drain() {
            // Fails where the peer has gone already.
            drop(connection.shutdown(Shutdown::Both));
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn lock(open: &Mutex<HashMap<usize, TcpStream>>) -> MutexGuard<'_, HashMap<usize, TcpStream>> {
    open.lock().expect("no holder panics")
}

/// Serves one connection until either side ends it.
fn serve(mut stream: &TcpStream, handler: &impl Fn(Request) -> Reply) {
    while let Ok(Some((request, last_byte_unread))) = receive(stream) {
        let reply = handler(request);
        // Closing a connection with unread data is what makes the kernel send a reset.
        let leave_unread = matches!(reply, Reply::Reset);
        if last_byte_unread && !leave_unread && stream.read_exact(&mut [0]).is_err() {
            return;
        }
        match reply {
            Reply::Answer(answer) => {
                if send(stream, &answer).is_err() {
                    return;
                }
            }
            Reply::Hang => {
                // Returns when the peer gives up, or when the server shuts the connection down.
                drop(stream.read(&mut [0]));
                return;
            }
            Reply::Close | Reply::Reset => return,
        }
    }
}

/// Reads one request, and whether the last byte of its body was only peeked at; none when the peer has ended the
/// connection.
fn receive(mut stream: &TcpStream) -> io::Result<Option<(Request, bool)>> {
    let Some(head) = receive_head(stream)? else {
        return Ok(None);
    };
    let (line, headers) = parse_head(&head)?;
    let mut words = line.split(' ');
    let (method, target) = match (words.next(), words.next()) {
        (Some(method), Some(target)) => (method.to_owned(), target.to_owned()),
        _ => return Err(malformed("request line")),
    };
    let mut peeked = false;
    let body = if headers.is_chunked() {
        receive_chunks(stream)?
    } else {
        let mut body = vec![0; headers.content_length().unwrap_or(0)];
        if let Some((last, rest)) = body.split_last_mut() {
            stream.read_exact(rest)?;
            peeked = stream.peek(std::slice::from_mut(last))? == 1;
        }
        body
    };
    let request = Request {
        method,
        target,
        headers,
        body,
    };
    Ok(Some((request, peeked)))
}

/// Reads up to and with the empty line, and not a byte further.
fn receive_head(mut stream: &TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte)? {
            0 if head.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => head.push(byte[0]),
        }
        if head.len() > MAX_HEAD_BYTES {
            return Err(malformed("head"));
        }
    }
    String::from_utf8(head)
        .map(Some)
        .map_err(|_| malformed("head"))
}

fn receive_chunks(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = receive_line(stream)?;
        let digits = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))?;
        if size == 0 {
            while !receive_line(stream)?.is_empty() {}
            return Ok(body);
        }
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..])?;
        receive_line(stream)?;
    }
}

fn receive_line(mut stream: &TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).map_err(|_| malformed("line"))
}

fn parse_head(head: &str) -> io::Result<(&str, Headers)> {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().ok_or_else(|| malformed("head"))?;
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header"))?;
        headers = headers.with(name, value.trim());
    }
    Ok((first, headers))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed HTTP {what}"))
}

fn send(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    let first = format!("HTTP/1.1 {} Scripted", answer.status);
    stream.write_all(&message(&first, &answer.headers, &answer.body))
}

/// A message as it goes over the wire, with its length.
fn message(first_line: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let headers = headers.clone().with("Content-Length", body.len());
    let lines = headers
        .0
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    let lines: Vec<_> = iter::once(first_line.to_owned()).chain(lines).collect();
    [lines.join("\r\n").as_bytes(), b"\r\n\r\n", body].concat()
}

/// Sends one POST over a connection of its own, and reads the whole answer.
pub fn post(address: SocketAddr, headers: &Headers, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    let headers = headers
        .clone()
        .with("Host", address)
        .with("Connection", "close");
    stream.write_all(&message("POST / HTTP/1.1", &headers, body))?;
    let head = receive_head(&stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let (line, headers) = parse_head(&head)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| malformed("status line"))?;
    let body = if headers.is_chunked() {
        receive_chunks(&stream)?
    } else if let Some(length) = headers.content_length() {
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        body
    } else {
        let mut body = Vec::new();
        stream.read_to_end(&mut body)?;
        body
    };
    Ok(Answer {
        status,
        headers: Headers::default(),
        body,
    })
}
