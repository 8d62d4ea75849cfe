//! The files of `tests/corpus`, read.

use std::path::Path;

use banyan_compare::{
    Accepted, HeaderRules, HtmlSpace, NumberForms, Observation, Pattern, PointerPattern, RuleSet, Rules,
    Tolerance, Unordered,
};

use crate::answers::answer;

/// A pair with what is true of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) truth: Truth,
    pub(crate) rules: Rules,
    pub(crate) legacy: Observation,
    pub(crate) candidate: Observation,
    /// Legacy's answer when it is asked again.
    pub(crate) again: Observation,
}

/// What somebody who reviews a migration would say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Truth {
    Match,
    Ignored,
    Noise,
    Incomparable,
    /// With what is to be found, sorted. Of a line, its kind without the digits.
    Mismatch(Vec<String>),
}

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    files.iter().flat_map(|file| read(&std::fs::read_to_string(file).unwrap())).collect()
}

fn read(text: &str) -> Vec<Case> {
    let text = text.strip_prefix("=== ").expect("a file begins with a case");
    text.split("\n=== ").map(case).collect()
}

#[derive(Default)]
struct Written {
    truth: Option<Truth>,
    rules: RuleSet,
    /// Of legacy, the candidate, legacy again: lines of the head, and the body.
    heads: [Vec<String>; 3],
    bodies: [Option<String>; 3],
}

fn case(text: &str) -> Case {
    let (name, lines) = text.split_once('\n').expect("a case has lines");
    let mut written = Written::default();
    let mut open = None;
    for line in lines.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "L" | "C" | "A" => {
                let arm = "LCA".find(word).unwrap();
                written.bodies[arm] = Some(rest.to_owned());
                open = Some(arm);
            }
            // The lines of a body may begin with anything that is none of L, C and A.
            _ if open.is_some() => {
                let body = written.bodies[open.unwrap()].as_mut().unwrap();
                body.push('\n');
                body.push_str(line);
            }
            "#" => {}
            "truth" => written.truth = Some(truth(rest)),
            "rule" => rule(&mut written.rules, rest),
            "h" => written.heads.iter_mut().for_each(|head| head.push(rest.to_owned())),
            "Lh" => written.heads[0].push(rest.to_owned()),
            "Ch" => written.heads[1].push(rest.to_owned()),
            "Ah" => written.heads[2].push(rest.to_owned()),
            other => panic!("{name}: a line begins with `{other}`"),
        }
    }
    finish(name, &written)
}

fn finish(name: &str, written: &Written) -> Case {
    let body = |arm: usize| written.bodies[arm].as_deref().or(written.bodies[0].as_deref()).unwrap();
    // Legacy asked again answers with its own head, unless the case says otherwise of that.
    let again_head = if written.heads[2].len() > common(&written.heads) { 2 } else { 0 };
    let made =
        |arm: usize, head: usize| answer(&with_type(&written.heads[head]), body(arm).trim_end_matches('\n'));
    Case {
        name: name.to_owned(),
        truth: written.truth.clone().unwrap_or_else(|| panic!("{name}: no truth")),
        rules: Rules::new(written.rules.clone()).unwrap(),
        legacy: made(0, 0),
        candidate: made(1, 1),
        again: made(2, again_head),
    }
}

/// How many lines all heads share.
fn common(heads: &[Vec<String>; 3]) -> usize {
    heads[2].iter().filter(|line| heads[0].contains(line) && heads[1].contains(line)).count()
}

/// JSON, unless a line says otherwise.
fn with_type(head: &[String]) -> Vec<&str> {
    let typed = head.iter().any(|line| line.to_lowercase().starts_with("content-type:") || line == "@none");
    let default = (!typed).then_some("content-type: application/json");
    default.into_iter().chain(head.iter().map(String::as_str)).collect()
}

fn truth(text: &str) -> Truth {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("match", "") => Truth::Match,
        ("ignored", "") => Truth::Ignored,
        ("noise", "") => Truth::Noise,
        ("incomparable", "") => Truth::Incomparable,
        ("mismatch", found) => {
            let mut found: Vec<String> = found.split(" | ").map(str::to_owned).collect();
            found.sort();
            Truth::Mismatch(found)
        }
        _ => panic!("no such truth: {text}"),
    }
}

fn rule(rules: &mut RuleSet, text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["ignore", ..] => rules.ignore.push(Pattern::parse(&text["ignore ".len()..]).unwrap()),
        ["accepted", pattern @ .., "until", day] => {
            rules.accepted.push(Accepted::parse(&pattern.join(" "), "a test", day).unwrap());
        }
        ["unordered", array] => rules.unordered.push(Unordered::parse(array, None).unwrap()),
        ["unordered", array, "by", key] => rules.unordered.push(Unordered::parse(array, Some(key)).unwrap()),
        ["tolerance", place, kind, value] => {
            let value = value.parse().ok();
            let (absolute, relative) = if *kind == "absolute" { (value, None) } else { (None, value) };
            let place = (*place != "*").then_some(*place);
            rules.tolerances.push(Tolerance::parse(place, absolute, relative).unwrap());
        }
        ["numbers", "value"] => rules.numbers = NumberForms::Value,
        ["date", place] => rules.dates.push(PointerPattern::parse(place).unwrap()),
        ["html", "collapsed"] => rules.html = HtmlSpace::Collapsed,
        ["headers", "only", names @ ..] => rules.headers = HeaderRules::parse(Some(names), &[], &[]).unwrap(),
        ["headers", "except", names @ ..] => rules.headers = HeaderRules::parse(None, names, &[]).unwrap(),
        ["headers", "also", names @ ..] => rules.headers = HeaderRules::parse(None, &[], names).unwrap(),
        _ => panic!("no such rule: {text}"),
    }
}
