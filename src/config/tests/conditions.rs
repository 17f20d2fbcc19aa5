//! How conditions and routing rules are read, and what is said when they are wrong.

use std::borrow::Cow;

use crate::routing::conditions::Known;

use super::*;

/// Where everything is known to be this.
struct All(&'static str);

impl Known for All {
    fn get(&self, _: &str) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.0))
    }
}

fn rule(when: &str) -> String {
    shop(&format!(
        "[[workspace.group]]\nname = \"fr\"\nlabel = \"FR\"\n\
         [[workspace.rule]]\nname = \"r\"\nwhen = {when}\nthen = {{ group = \"fr\" }}\n"
    ))
}

#[test]
fn conditions_are_tables_lists_and_cel() {
    for (when, text) in [
        ("{ name = \"country\", in = [\"FR\", \"BE\"] }", "country in [\"FR\", \"BE\"]"),
        ("{ name = \"visits\", \">=\" = 2, \"<\" = \"9.5\" }", "all(visits < 9.5, visits >= 2)"),
        (
            "[{ name = \"tag\", eq = \"vip\" }, { not = { name = \"bot\", exists = true } }]",
            "all(tag eq \"vip\", not(bot exists))",
        ),
        (
            "{ any = [{ name = \"page.url\", contains = \"/fr\" }, { name = \"cart\", missing = true }] }",
            "any(page.url contains \"/fr\", cart missing)",
        ),
        ("\"country == 'FR'\"", "cel(\"country == 'FR'\")"),
        ("{ cel = \"country == 'FR'\" }", "cel(\"country == 'FR'\")"),
    ] {
        let config = usable(&rule(when));
        let [rule] = &config.workspaces[0].rules[..] else { panic!("one rule") };
        assert_eq!(rule.when.condition.text(), text);
        assert_eq!(rule.then, RuleTarget::Group("fr".parse().expect("a name")));
    }
    let config = usable(&rule("{ name = \"country\", eq = \"fr\" }"));
    assert!(config.workspaces[0].rules[0].when.condition.holds(&All("FR")));
}

#[test]
fn everything_that_is_wrong_with_a_condition_is_told_at_once_with_its_place() {
    refused(
        &rule(
            "[\n\
             { name = \"page.ur\", eq = \"x\" },\n\
             { name = \"country\", equals = \"FR\" },\n\
             { name = \"country\", regex = \"(\" },\n\
             { name = \"pages\", \">\" = \"many\" },\n\
             { name = \"country\" },\n\
             \"country == 'FR' && contry == 'BE'\",\n\
             { some = [] },\n]",
        ),
        r#"
error: my.toml:9:10: `when`: "page.ur" is not known
 9 | { name = "page.ur", eq = "x" },
   |          ^^^^^^^^^ expected "page.tags", "page.title", "page.url"
   = names that begin with "page." are taken

error: my.toml:10:21: `when`: `equals` is no operator
 10 | { name = "country", equals = "FR" },
    |                     ^^^^^^ expected eq, ne, in, contains, prefix, suffix, glob, regex, >=, >, <=, <, exists, missing
    = those that are no words stand in quotes: ">=" = 3

error: my.toml:11:29: `when`: "(" is not a regular expression: unclosed group
 11 | { name = "country", regex = "(" },
    |                             ^^^ expected a regular expression

error: my.toml:12:25: `when`: "many" is not a number
 12 | { name = "pages", ">" = "many" },
    |                         ^^^^^^ expected a number
    = a number with a fraction stands in quotes: "1.5"

error: my.toml:13:10: `when`: "country" is not tested
 13 | { name = "country" },
    |          ^^^^^^^^^ expected one of eq, ne, in, contains, prefix, suffix, glob, regex, >=, >, <=, <, exists, missing beside it

error: my.toml:14:21: `when`: there is no name `contry`
 14 | "country == 'FR' && contry == 'BE'",
    |                     ^^^^^^ expected a name that is known
    = custom variables stand behind `custom.`: `custom.cart_value`

error: my.toml:15:3: `when`: `some` is nothing that a condition has
 15 | { some = [] },
    |   ^^^^ expected `name`, `all`, `any`, `not` or `cel`"#,
    );
}

#[test]
fn a_rule_sends_to_who_is_there() {
    let text = shop(
        "[[workspace.rule]]\nname = \"a\"\nwhen = { name = \"site\", exists = true }\nthen = { group = \"fr\" }\n\
         [[workspace.rule]]\nname = \"a\"\nwhen = { name = \"site\", exists = true }\nthen = { agent = \"ana\" }\n\
         [[workspace.rule]]\nname = \"c\"\nwhen = { name = \"site\", exists = true }\nthen = \"everyone\"\n",
    );
    let told = file(&text).expect_err("refused").to_string();
    for part in [
        "rule \"a\" sends to \"fr\", which is not a group of its workspace",
        "rule \"a\" sends to \"ana\", who is not an agent of this file",
        "rule \"a\" is defined twice",
        "expected { group = \"…\" } or { agent = \"…\" }",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}

#[test]
fn rules_that_nobody_meets_are_warned_of() {
    let told =
        warnings(&rule("[{ name = \"site\", eq = \"a\" }, { name = \"site\", eq = \"b\" }]")).join("\n");
    assert!(
        told.contains("rule \"r\" never applies: `site eq \"a\"` and `site eq \"b\"` never hold at once"),
        "{told}"
    );
}

#[test]
fn a_slip_of_the_hand_in_a_name_is_warned_of() {
    let told = warnings(&rule("{ name = \"contry\", eq = \"FR\" }")).join("\n");
    assert!(told.contains("did you mean `country`?"), "{told}");
    let told = warnings(&rule("{ name = \"cart_value\", exists = true }")).join("\n");
    assert!(!told.contains("did you mean"), "{told}");
}

#[test]
fn a_workspace_has_two_hundred_rules_at_most() {
    let one = |number| {
        format!(
            "[[workspace.rule]]\nname = \"r{number}\"\nwhen = {{ name = \"site\", eq = \"{number}\" }}\nthen = {{ group = \"everyone\" }}\n"
        )
    };
    let rules = |count| shop(&(0..count).map(one).collect::<String>());
    assert_eq!(usable(&rules(200)).workspaces[0].rules.len(), 200);
    let told = file(&rules(201)).expect_err("refused").to_string();
    assert!(told.contains("rule number 201") && told.ends_with("1 error in the configuration"), "{told}");
}
