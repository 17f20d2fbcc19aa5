//! A mail server: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA, QUIT, and it fails when it is told to.

use std::{
    collections::VecDeque,
    io,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Identity, lines::Lines};

/// How a mail is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// With this answer to its recipient: 450 is for now, 550 for good.
    No(u16),
    /// Not answered at all.
    Silence,
}

/// A mail that came in.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) text: String,
    /// What the client logged in with, as it was sent.
    pub(crate) login: Option<String>,
    pub(crate) encrypted: bool,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or("")
    }
}

/// A mail server.
pub(crate) struct MailServer {
    port: u16,
    script: Arc<Mutex<VecDeque<Manner>>>,
    arrived: UnboundedReceiver<Mail>,
}

struct Desk {
    tls: Option<Arc<rustls::ServerConfig>>,
    script: Arc<Mutex<VecDeque<Manner>>>,
    tell: UnboundedSender<Mail>,
}

impl MailServer {
    pub(crate) fn start() -> Self {
        Self::open(None)
    }

    /// One that takes nothing before STARTTLS.
    pub(crate) fn with(identity: &Identity) -> Self {
        Self::open(Some(Arc::clone(&identity.config)))
    }

    fn open(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tell, arrived) = unbounded_channel();
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let desk = Arc::new(Desk { tls, script: Arc::clone(&script), tell });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&desk);
                thread::spawn(move || desk.serve(&stream));
            }
        });
        Self { port, script, arrived }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next mails are taken so, one after the other; then all well.
    pub(crate) fn behave(&self, manners: impl IntoIterator<Item = Manner>) {
        self.script.lock().expect("no poison").extend(manners);
    }

    /// The next mail that was taken.
    pub(crate) async fn next(&mut self) -> Mail {
        super::next(&mut self.arrived, "a mail").await
    }

    /// The same, while time is moved on.
    pub(crate) async fn next_while(&mut self, mut moves: impl FnMut()) -> Mail {
        for _ in 0..1_000 {
            moves();
            let soon = tokio::time::timeout(Duration::from_millis(20), self.arrived.recv()).await;
            if let Ok(Some(mail)) = soon {
                return mail;
            }
        }
        panic!("a mail did not come however long time went on");
    }

    pub(crate) fn already(&mut self) -> Option<Mail> {
        self.arrived.try_recv().ok()
    }
}

impl Desk {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut lines = Lines::new(stream.try_clone()?, None);
        lines.say("220 mail.test ready\r\n")?;
        if let Some(tls) = &self.tls {
            while let Some(line) = lines.line()? {
                if line.eq_ignore_ascii_case("STARTTLS") {
                    lines.say("220 go ahead\r\n")?;
                    let lines = Lines::new(stream.try_clone()?, Some(tls));
                    return self.converse(lines, true);
                }
                lines.say(if line.starts_with("EHLO") {
                    "250-mail.test\r\n250 STARTTLS\r\n"
                } else {
                    "530 STARTTLS first\r\n"
                })?;
            }
            return Ok(());
        }
        self.converse(lines, false)
    }

    fn converse(&self, mut lines: Lines, encrypted: bool) -> io::Result<()> {
        let (mut to, mut login) = (String::new(), None);
        while let Some(line) = lines.line()? {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            match verb.as_str() {
                "EHLO" => lines.say("250-mail.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n")?,
                "AUTH" => {
                    login = Some(line);
                    lines.say("235 welcome\r\n")?;
                }
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let manner = self.script.lock().expect("no poison").pop_front();
                    match manner {
                        None => lines.say("250 ok\r\n")?,
                        Some(Manner::No(code)) => lines.say(&format!("{code} not so\r\n"))?,
                        Some(Manner::Silence) => {
                            let _ = lines.line();
                            return Ok(());
                        }
                    }
                }
                "DATA" => {
                    lines.say("354 go on\r\n")?;
                    let mut text = String::new();
                    while let Some(line) = lines.line()?.filter(|line| line != ".") {
                        text.push_str(&line);
                        text.push('\n');
                    }
                    lines.say("250 taken\r\n")?;
                    let _ = self.tell.send(Mail { to: to.clone(), text, login: login.clone(), encrypted });
                }
                "QUIT" => return lines.say("221 bye\r\n"),
                _ => lines.say("250 ok\r\n")?,
            }
        }
        Ok(())
    }
}
