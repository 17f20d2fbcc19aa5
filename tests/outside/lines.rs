//! A stream of lines, in the clear or under TLS, on a thread of its own.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

/// What both kinds of stream can do.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub(super) struct Lines(BufReader<Box<dyn Stream>>);

impl Lines {
    pub(super) fn new(stream: TcpStream, tls: Option<&Arc<rustls::ServerConfig>>) -> Self {
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).expect("a configuration");
                Box::new(rustls::StreamOwned::new(connection, stream))
            }
        };
        Self(BufReader::new(stream))
    }

    /// The next line without its end; `None` at the end of the stream.
    pub(super) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    pub(super) fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }
}
