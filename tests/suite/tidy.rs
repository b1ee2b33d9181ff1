//! What a machine can check of the order in this house.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file is read in one sitting. Tests at its end are not counted.
const LINES_MAX: usize = 450;

/// Files that may be longer, each with its reason.
const LONGER: [(&str, usize, &str); 0] = [];

/// What a crate may never name, in its sources and among its dependencies.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    ("proto", &["tokio", "machine", "consensus", "node", "openraft", "rocksdb"]),
    ("machine", &["tokio", "rocksdb", "tonic", "openraft", "tracing", "rand", "consensus", "node"]),
    ("consensus", &["node"]),
    ("node", &["openraft", "rocksdb"]),
];

/// What the replicated world may not look at: it would not be the same on every member.
const IMPURE: [&str; 8] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "std::env",
    "std::process",
];

/// Names that say nothing about what is in a file.
const NAMELESS: [&str; 6] = ["utils", "util", "common", "helpers", "misc", "base"];

#[test]
fn modules_import_only_from_lower_layers() {
    let layers = parse_layers(&read("ARCHITECTURE.md")).unwrap();
    let mut violations = Vec::new();
    for (name, folder) in crates() {
        let Some(layers) = layers.get(name) else {
            violations.push(format!("ARCHITECTURE.md has no layers for `{name}`"));
            continue;
        };
        let src = root().join(folder).join("src");
        let re_exports = re_exports(&fs::read_to_string(src.join("lib.rs")).unwrap_or_default());
        violations
            .extend(unlisted(layers, &modules(&src)).into_iter().map(|line| format!("{folder}: {line}")));
        for file in rust_files(&src) {
            let inner = file.strip_prefix(&src).unwrap().to_path_buf();
            let code = without_tests(&fs::read_to_string(&file).unwrap()).to_owned();
            let found = upward_imports(&inner, &code, layers, &re_exports);
            violations
                .extend(found.into_iter().map(|line| format!("{folder}/src/{}: {line}", inner.display())));
        }
    }
    none(&violations);
}

#[test]
fn crates_do_not_name_what_they_must_not_know() {
    let mut violations = Vec::new();
    for (name, folder) in crates() {
        let forbidden =
            FORBIDDEN.iter().find(|(krate, _)| *krate == name).map_or(&[][..], |(_, names)| names);
        let manifest = read(&format!("{folder}/Cargo.toml"));
        for file in rust_files(&root().join(folder).join("src")) {
            let code = fs::read_to_string(&file).unwrap();
            let code = only_code(without_tests(&code));
            let impure = IMPURE.iter().filter(|path| name == "machine" && code.contains(*path));
            let named = forbidden.iter().filter(|krate| names_crate(&code, krate));
            let path = file.strip_prefix(root()).unwrap().display();
            violations.extend(named.chain(impure).map(|it| format!("{path} names {it}")));
        }
        let depends = forbidden.iter().filter(|krate| dependencies(&manifest).contains(**krate));
        violations.extend(depends.map(|krate| format!("{folder}/Cargo.toml depends on {krate}")));
    }
    none(&violations);
}

#[test]
fn every_file_begins_with_its_reason_and_has_an_end() {
    let mut violations = Vec::new();
    for file in rust_files(&root()) {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        violations.extend(check_head(&text).into_iter().map(|line| format!("{name}: {line}")));
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if NAMELESS.contains(&stem) {
            violations.push(format!("{name}: a name that says nothing about what is in it"));
        }
        let is_test = name.contains("/suite/") || name.contains("/tests/") || stem == "tests";
        let max = LONGER.iter().find(|(path, ..)| *path == name).map_or(LINES_MAX, |(_, lines, _)| *lines);
        let lines = without_tests(&text).lines().count();
        if !is_test && lines > max {
            violations.push(format!("{name}: {lines} lines, and {max} are allowed"));
        }
    }
    none(&violations);
}

#[test]
fn nothing_is_left_lying_about() {
    let mut violations = Vec::new();
    for file in files(&root(), &|_| true) {
        // What is not text is not ours to read.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        violations.extend(leftovers(&text).into_iter().map(|line| format!("{name}: {line}")));
    }
    none(&violations);
}

#[test]
fn papers_are_there_and_say_what_can_be_done() {
    let targets = make_targets(&read("Makefile"));
    let mut violations = Vec::new();
    for paper in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ".ci/run"] {
        let named = make_commands(&read(paper));
        let unknown = named.difference(&targets).map(|target| format!("{paper} says `make {target}`"));
        violations.extend(unknown);
    }
    assert!(!make_commands(&read("README.md")).is_empty(), "README.md does not say how to run it");
    none(&violations);
}

#[track_caller]
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

/// Our crates that have layers, with their folders.
fn crates() -> [(&'static str, &'static str); 4] {
    [("proto", "proto"), ("machine", "consensus/machine"), ("consensus", "consensus"), ("node", "node")]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

#[track_caller]
fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, &|path| path.extension().is_some_and(|extension| extension == "rs"))
}

/// Files under `folder` that are ours: not what is built, nor what git or an editor keeps.
fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let built = ["target", "context", "corral-data", "__pycache__"].contains(&name.as_str());
            let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name.as_str());
            if built || hidden {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

type Layers = Vec<Vec<String>>;

/// The lines `crate: a b · c · d` of the fenced block under the heading "Layers".
fn parse_layers(markdown: &str) -> Result<BTreeMap<String, Layers>, String> {
    let (_, section) =
        markdown.split_once("\n## Layers\n").ok_or("ARCHITECTURE.md has no heading \"Layers\"")?;
    let block = section.split("\n```").nth(1).ok_or("under \"Layers\" there is no fenced block")?;
    let mut crates = BTreeMap::new();
    // The first line is what stands behind the fence.
    for line in block.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let (name, layers) = line.split_once(':').ok_or_else(|| format!("not a line of layers: `{line}`"))?;
        let layer = |layer: &str| layer.split_whitespace().map(str::to_owned).collect();
        let before = crates.insert(name.trim().to_owned(), layers.split('·').map(layer).collect());
        if before.is_some() {
            return Err(format!("`{name}` has two lines"));
        }
    }
    Ok(crates)
}

/// Top-level modules of the crate in `src`, its roots `lib` and `main` not among them.
fn modules(src: &Path) -> BTreeSet<String> {
    rust_files(src)
        .iter()
        .map(|file| own_module(file.strip_prefix(src).unwrap()))
        .filter(|name| !is_root(name))
        .collect()
}

fn is_root(module: &str) -> bool {
    ["lib", "main"].contains(&module)
}

/// The top-level module that a file belongs to; its path is relative to `src`.
fn own_module(file: &Path) -> String {
    let first = file.iter().next().map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

/// Modules without a layer, and layers without a module.
fn unlisted(layers: &Layers, modules: &BTreeSet<String>) -> Vec<String> {
    let listed: BTreeSet<String> = layers.iter().flatten().filter(|name| !is_root(name)).cloned().collect();
    let missing =
        modules.difference(&listed).map(|name| format!("module `{name}` has no layer in ARCHITECTURE.md"));
    let stale = listed
        .difference(modules)
        .map(|name| format!("ARCHITECTURE.md gives a layer to `{name}`, which is gone"));
    missing.chain(stale).collect()
}

/// What a crate's root gives out under its own name, and from which module.
fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let code = only_code(lib);
    let mut found = BTreeMap::new();
    for statement in code.split("use ").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        let path = statement.trim().trim_start_matches("crate::").trim_start_matches("self::");
        let Some((module, items)) = path.split_once("::") else { continue };
        for item in items.trim_matches(['{', '}']).split(',') {
            let name = item.rsplit([' ', ':']).next().unwrap_or_default().trim_matches(['{', '}']);
            found.insert(name.to_owned(), module.trim().to_owned());
        }
    }
    found
}

/// Imports that do not go down: to a neighbour in the same layer, or to a layer above.
fn upward_imports(
    file: &Path,
    code: &str,
    layers: &Layers,
    re_exports: &BTreeMap<String, String>,
) -> Vec<String> {
    let own = own_module(file);
    // The root joins the parts: it may name them all.
    if is_root(&own) {
        return Vec::new();
    }
    let place = |module: &str| layers.iter().position(|layer| layer.iter().any(|name| name == module));
    let Some(own_place) = place(&own) else { return Vec::new() };
    let mut targets = first_names(&only_code(code), "crate::");
    // `super` in a top-level module is the crate, too.
    let is_top =
        file.components().count() == 1 || (file.components().count() == 2 && file.ends_with("mod.rs"));
    let up = if is_top { "super::" } else { "super::super::" };
    targets.extend(first_names(&only_code(code), up));
    let mut violations = BTreeSet::new();
    for target in targets {
        let module = re_exports.get(&target).unwrap_or(&target);
        match place(module) {
            Some(place) if *module != own && place >= own_place => {
                violations.insert(format!("`{own}` imports from `{module}`, which is not in a lower layer"));
            }
            _ => {}
        }
    }
    violations.into_iter().collect()
}

/// The first names behind `prefix`, wherever it stands: `crate::{a::B, c}` names `a` and `c`.
fn first_names(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (start, _) in code.match_indices(prefix) {
        // `supercrate::` and `super::super::` are other things.
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[start + prefix.len()..];
        match rest.strip_prefix('{') {
            None => drop(names.insert(identifier(rest))),
            Some(group) => {
                let (mut depth, mut expecting) = (0, true);
                for (index, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => expecting = true,
                        c if expecting && depth == 0 && !c.is_whitespace() => {
                            names.insert(identifier(&group[index..]));
                            expecting = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether the code names this crate: in a path, or in a `use` of it alone.
fn names_crate(code: &str, krate: &str) -> bool {
    code.match_indices(krate).any(|(start, _)| {
        let (before, after) = (&code[..start], &code[start + krate.len()..]);
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let path = after.starts_with("::") || (before.ends_with("use ") && after.starts_with(';'));
        begins && path
    })
}

/// The crates that a manifest depends on; those that only tests need do not count.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut counts = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            counts = line == "[dependencies]";
            if let Some(name) = line.strip_prefix("[dependencies.") {
                names.insert(name.trim_end_matches(']').to_owned());
            }
        } else if counts && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.insert(name.to_owned());
        }
    }
    names
}

/// The file without the tests at its end.
fn without_tests(text: &str) -> &str {
    match text.find("\n#[cfg(test)]\nmod ") {
        // A module of tests that stands in a file of its own is one line.
        Some(start) if text[start..].lines().nth(2).is_some_and(|line| line.ends_with('{')) => {
            &text[..=start]
        }
        _ => text,
    }
}

/// The text without its comments and without what stands in quotes.
fn only_code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        let mut quoted = false;
        let mut previous = ' ';
        for (index, c) in line.char_indices() {
            if !quoted && line[index..].starts_with("//") {
                break;
            }
            match c {
                '"' if previous != '\\' && previous != '\'' => quoted = !quoted,
                _ if !quoted => code.push(c),
                _ => {}
            }
            previous = c;
        }
        code.push('\n');
    }
    code
}

fn check_head(text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("//! ") {
        Some(reason) if reason.len() > 4 => None,
        _ => Some("does not begin with `//!` and its one reason".into()),
    }
}

/// What somebody meant to take away again, and what is true on one machine only.
fn leftovers(text: &str) -> Vec<String> {
    // Put together here, so that this file does not name them.
    let marks = [
        ["to", "do!("],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["db", "g!("],
        ["unimple", "mented!("],
        ["<<<<", "<<< "],
        [">>>>", ">>> "],
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/Us", "ers/"],
        ["/wo", "rk/shared"],
        ["/tmp", "/wt"],
    ];
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for mark in marks.iter().map(|parts| parts.concat()) {
            if line.contains(&mark) {
                found.push(format!("line {}: `{mark}`", number + 1));
            }
        }
    }
    found
}

fn make_targets(makefile: &str) -> BTreeSet<String> {
    let target = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        (plain && !rest.starts_with('=')).then(|| name.to_owned())
    };
    makefile.lines().filter_map(target).collect()
}

/// The targets in `make target`, where it stands as a command: in backticks or at the start of a line.
fn make_commands(paper: &str) -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    for (start, _) in paper.match_indices("make ") {
        let before = paper[..start].chars().next_back();
        if matches!(before, None | Some('`' | '\n' | '&' | ';')) || paper[..start].ends_with("&& ") {
            let rest = &paper[start + 5..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !name.is_empty() {
                commands.insert(name);
            }
        }
    }
    commands
}

/// The checks must be able to fail.
mod can_fail {
    use super::*;

    const PAPER: &str =
        "# A\n\n## Layers\n\nWords.\n\n```text\nhouse: ground cellar · stairs · roof\nshed:  all\n```\n";

    #[track_caller]
    fn check(file: &str, code: &str, expected: &[&str]) {
        let layers = &parse_layers(PAPER).unwrap()["house"];
        let re_exports =
            re_exports("mod roof;\npub use roof::{Chimney, tile::Tile as Shingle};\npub use cellar::Wine;\n");
        let found = upward_imports(Path::new(file), code, layers, &re_exports);
        let named: Vec<&str> = found.iter().filter_map(|line| line.split('`').nth(3)).collect();
        assert_eq!(named, expected, "{file}: {code}");
    }

    #[test]
    fn on_an_import_from_above() {
        check("stairs.rs", "use crate::ground::Door;", &[]);
        check("stairs.rs", "use crate::{ground::{Door, roof}, cellar};", &[]);
        check("stairs.rs", "use crate::roof::Chimney;", &["roof"]);
        check("stairs.rs", "use crate::{\n    ground::Door,\n    roof,\n};", &["roof"]);
        check("stairs.rs", "let x = crate::roof::climb();", &["roof"]);
        check("stairs.rs", "use crate::Chimney;", &["roof"]);
        check("stairs.rs", "use crate::Shingle;", &["roof"]);
        check("stairs.rs", "use crate::Wine;", &[]);
        check("stairs.rs", "// crate::roof is above\n/// [`crate::roof`]\nlet x = \"crate::roof\";", &[]);
        check("stairs/step.rs", "use crate::stairs::Rail;\nuse crate::roof::Chimney;", &["roof"]);
    }

    #[test]
    fn on_an_import_from_a_neighbour_and_by_another_road() {
        check("ground.rs", "use crate::cellar::Wine;", &["cellar"]);
        check("stairs.rs", "use super::roof::Chimney;", &["roof"]);
        check("stairs/mod.rs", "use super::roof::Chimney;", &["roof"]);
        check("stairs/step.rs", "use super::roof::Chimney;", &[]);
        check("stairs/step.rs", "use super::super::roof::Chimney;", &["roof"]);
        check("lib.rs", "use crate::roof::Chimney;", &[]);
    }

    #[test]
    fn on_modules_and_layers_that_do_not_match() {
        let layers = &parse_layers(PAPER).unwrap()["house"];
        let modules = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        assert_eq!(unlisted(layers, &modules(&["ground", "cellar", "stairs", "roof"])), Vec::<String>::new());
        assert_eq!(unlisted(layers, &modules(&["ground", "cellar", "stairs", "roof", "attic"])).len(), 1);
        assert_eq!(unlisted(layers, &modules(&["ground", "cellar", "stairs"])).len(), 1);
        assert!(parse_layers("# no such heading").is_err());
        assert!(parse_layers("\n## Layers\n\nno block").is_err());
        assert!(parse_layers("\n## Layers\n\n```text\nnot a line\n```\n").is_err());
    }

    #[test]
    fn on_a_crate_that_must_not_be_named() {
        for code in ["use tokio::task;", "tokio::spawn(x)", "use tokio;", "(tokio::x)"] {
            assert!(names_crate(code, "tokio"), "{code}");
        }
        for code in ["crate::tokio::x", "let tokio = 1;", "my_tokio::x", "tokio_util::x"] {
            assert!(!names_crate(code, "tokio"), "{code}");
        }
        let manifest =
            "[dependencies]\ntokio.workspace = true\nbytes = \"1\"\n[dev-dependencies]\nrand = \"1\"\n";
        assert_eq!(dependencies(manifest), ["bytes", "tokio"].map(str::to_owned).into());
    }

    #[test]
    fn on_heads_leftovers_and_length() {
        assert!(check_head("//! One plain reason.\n").is_none());
        assert!(check_head("use std::fs;\n").is_some());
        assert!(check_head("//!\n").is_some());
        assert_eq!(leftovers(&["x\n", "to", "do!(later)"].concat()), vec![["line 2: `to", "do!(`"].concat()]);
        assert_eq!(leftovers(&["see /ho", "me/anna/notes"].concat()).len(), 1);
        let file = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(without_tests(file).lines().count(), 3);
        let file = "//! A.\n\n#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(without_tests(file), file);
    }

    #[test]
    fn on_a_command_that_is_not_there() {
        let targets =
            make_targets("A = b\nB := c\n.PHONY: x\nrun: build ## words\n\t@echo it: works\nci-run:\n");
        assert_eq!(targets, ["ci-run", "run"].map(str::to_owned).into());
        let paper = "Type `make run` or\n```sh\nmake test\ncd x && make up\n```\nto make sense.";
        assert_eq!(make_commands(paper), ["run", "test", "up"].map(str::to_owned).into());
    }
}
