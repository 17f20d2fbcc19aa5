//! How calendars are read, and what is said when they are wrong.

use super::*;

#[test]
fn a_group_has_its_own_calendar_or_the_workspace_s() {
    let config = usable(&shop(
        "open_hours = \"office\"\n\
         [workspace.hours.office]\ntimezone = \"Europe/Paris\"\nweekly = { mon = [\"09:00-12:30\", \"14:00-24:00\"] }\nholidays = [\"12-25\"]\n\
         [workspace.hours.night]\ntimezone = \"UTC\"\nweekly = {}\n\
         [[workspace.group]]\nname = \"a\"\n[[workspace.group]]\nname = \"b\"\nhours = \"night\"\n\
         [[workspace.group]]\nname = \"c\"\nhours = \"always\"\n",
    ));
    let workspace = &config.workspaces[0];
    let of =
        |place: usize| workspace.calendar(Some(&workspace.groups[place])).map(|calendar| &calendar.hours);
    let named = |name: &str| workspace.hours.get(name).map(|calendar| &calendar.hours);
    assert!(of(0).is_some() && of(0) == named("office"));
    assert!(of(1).is_some() && of(1) == named("night"));
    assert_eq!(of(2), None);
    assert_eq!(workspace.calendar(None).map(|calendar| &calendar.hours), named("office"));
    assert_eq!(usable(&config.effective_toml()), config);
}

#[test]
fn everything_that_is_wrong_with_a_calendar_is_told() {
    let told = file(&shop(
        "open_hours = \"night\"\n\
         [workspace.hours.office]\ntimezone = \"Europe/Atlantis\"\n\
         weekly = { mon = [\"9-12\", \"09:00-12:30\", \"12:00-13:00\"], monday = [] }\nholidays = [\"02-30\"]\nzone = 1\n\
         [[workspace.group]]\nname = \"a\"\nhours = \"day\"\n",
    ))
    .expect_err("refused")
    .to_string();
    for part in [
        "\"9-12\" is no time of a day",
        "\"12:00-13:00\" overlaps another",
        "a week has no key `monday`",
        "\"02-30\" is no day",
        "a calendar has no key `zone`",
        "\"night\" is not a calendar of this workspace",
        "\"day\" is not a calendar of this workspace",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let told = file(&shop("[workspace.hours.office]\ntimezone = \"Europe/Atlantis\"\nweekly = {}\n"))
        .expect_err("refused");
    assert!(told.to_string().contains("\"Europe/Atlantis\" is no time zone"), "{told}");
}
