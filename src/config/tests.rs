use super::*;

#[test]
fn the_built_in_file_is_right() {
    let loaded = load(None, std::iter::empty()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
}
