//! The manual is enough: a codec in another language, written from it, reads and writes every golden frame.

use std::{path::Path, process::Command};

#[test]
fn a_codec_written_from_the_manual_reads_and_writes_all_golden_frames() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new("python3")
        .args(["-B", "check_golden.py"])
        .arg(root.join("tests/golden/wire"))
        .current_dir(root.join("clients/python"))
        .output();
    match run {
        Err(error) => println!("NOT RUN: python3 could not be started: {error}"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
            println!("python3: {said}");
        }
    }
}
