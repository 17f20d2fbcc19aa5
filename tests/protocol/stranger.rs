//! The manual is enough, once more: a client in another language, written from it, against a real daemon over QUIC and the Unix
//! socket.

use std::{
    path::Path,
    process::{Command, Output},
};

use maitred::{config, daemon};

/// A Python that may have aioquic: named by the environment, or the system's.
fn python() -> String {
    std::env::var("MAITRED_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_client_written_from_the_manual_serves_a_conversation() {
    match Command::new(python()).args(["-c", "import aioquic"]).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => return println!("NOT RUN: aioquic can't be imported: {}", said(&output)),
        Err(error) => return println!("NOT RUN: {} could not be started: {error}", python()),
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("maitred.toml");
    let data = directory.path().join("data");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[workspace]]\nname = \"demo\"\n[[workspace.group]]\nname = \"sales\"\nlabel = \"Sales\"\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"sales\"]\n"
    );
    std::fs::write(&file, text).expect("the file is written");
    let loaded = config::load(Some(&file), std::iter::empty());
    let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    let daemon = daemon::start(daemon::Options::new(config)).expect("it starts");
    let port = daemon.quic().port().to_string();
    for encoding in ["bincode", "json"] {
        let run = Command::new(python())
            .args(["-B", "example.py"])
            .arg(&data)
            .args(["localhost", &port, "demo", "ana", "sales", encoding])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python"))
            .output()
            .expect("it ran a moment ago");
        assert!(run.status.success(), "{encoding}: {}", said(&run));
        println!("RUN: {}", said(&run));
    }
    daemon.control().stop_now();
    daemon.wait().expect("it ends well");
}
