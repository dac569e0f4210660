//! Colours code: text to roles, which the theme turns into styles.
//!
//! Work is done once a block, on a thread of its own, so that a long block
//! never holds up a frame: a block is drawn plain until its colours are there.
//! Results are kept for the latest [`KEPT`] blocks.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

/// Larger blocks stay plain.
const MAX_BYTES: usize = 512 * 1024;
const MAX_LINES: usize = 10_000;
/// Blocks whose colours are remembered.
const KEPT: usize = 512;

/// What a piece of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxRole {
    Plain,
    Comment,
    Keyword,
    String,
    Number,
    Constant,
    Function,
    Type,
    Operator,
    Punctuation,
    Tag,
    Attribute,
    Inserted,
    Deleted,
}

impl SyntaxRole {
    pub const COUNT: usize = 14;
}

/// The roles of a block, line by line; ranges are bytes of the line and cover it.
pub(super) type Roles = Vec<Vec<(SyntaxRole, Range<usize>)>>;

pub(super) enum Lookup {
    Ready(Arc<Roles>),
    /// Being worked on: ask again when the generation has changed.
    Pending,
    /// Without colours: an unknown language or too large.
    Plain,
}

type Notify = Box<dyn Fn() + Send>;

struct Job {
    key: u64,
    language: String,
    code: String,
}

/// Hands out the colours of code blocks. Cheap to clone.
#[derive(Clone)]
pub struct Highlighter {
    shared: Arc<Shared>,
    jobs: Option<mpsc::Sender<Job>>,
}

#[derive(Default)]
struct Shared {
    generation: AtomicU64,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    blocks: HashMap<u64, Option<Arc<Roles>>>,
    order: VecDeque<u64>,
}

impl Highlighter {
    /// Works on a thread of its own and calls `notify` after each block.
    pub fn background(notify: impl Fn() + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let jobs = spawn(shared.clone(), Box::new(notify));
        Self { shared, jobs }
    }

    /// Works while asked: for tests and single answers.
    pub fn inline() -> Self {
        Self {
            shared: Arc::new(Shared::default()),
            jobs: None,
        }
    }

    /// Grows when colours have arrived.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    pub(super) fn lookup(&self, language: &str, code: &str) -> Lookup {
        if code.len() > MAX_BYTES || code.lines().count() > MAX_LINES || syntax(language).is_none()
        {
            return Lookup::Plain;
        }
        let key = key(language, code);
        let mut cache = self.shared.cache();
        match cache.blocks.get(&key) {
            Some(Some(roles)) => Lookup::Ready(roles.clone()),
            Some(None) => Lookup::Pending,
            None => {
                let Some(jobs) = &self.jobs else {
                    let roles = Arc::new(colour(language, code));
                    cache.insert(key, Some(roles.clone()));
                    return Lookup::Ready(roles);
                };
                let job = Job {
                    key,
                    language: language.to_owned(),
                    code: code.to_owned(),
                };
                if jobs.send(job).is_err() {
                    return Lookup::Plain;
                }
                cache.insert(key, None);
                Lookup::Pending
            }
        }
    }
}

impl Shared {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn insert(&mut self, key: u64, roles: Option<Arc<Roles>>) {
        if self.blocks.insert(key, roles).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.blocks.remove(&oldest);
            }
        }
    }
}

fn spawn(shared: Arc<Shared>, notify: Notify) -> Option<mpsc::Sender<Job>> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let work = move || {
        for job in receiver {
            let roles = Arc::new(colour(&job.language, &job.code));
            shared.cache().insert(job.key, Some(roles));
            shared.generation.fetch_add(1, Ordering::AcqRel);
            notify();
        }
    };
    // Without a thread, code is simply drawn plain.
    std::thread::Builder::new()
        .name("highlight".into())
        .spawn(work)
        .ok()
        .map(|_| sender)
}

fn key(language: &str, code: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (language, code).hash(&mut hasher);
    hasher.finish()
}

fn syntaxes() -> &'static SyntaxSet {
    static SET: OnceLock<SyntaxSet> = OnceLock::new();
    SET.get_or_init(two_face::syntax::extra_newlines)
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    if language.is_empty() {
        return None;
    }
    let name = match language.to_ascii_lowercase().as_str() {
        "shell" | "console" | "terminal" | "zsh" => "sh".to_owned(),
        "jsonc" | "json5" => "json".to_owned(),
        other => other.to_owned(),
    };
    syntaxes().find_syntax_by_token(&name)
}

fn colour(language: &str, code: &str) -> Roles {
    let set = syntaxes();
    let plain = |line: &str| vec![(SyntaxRole::Plain, 0..line.len())];
    let Some(syntax) = syntax(language) else {
        return code.split('\n').map(plain).collect();
    };
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut scopes = ScopeRoles::default();
    let mut text = String::new();
    let colour_line = |line: &str| {
        text.clear();
        text.push_str(line);
        text.push('\n');
        let Ok(operations) = state.parse_line(&text, set) else {
            return plain(line);
        };
        let mut pieces: Vec<(SyntaxRole, Range<usize>)> = Vec::new();
        let mut from = 0;
        let mut piece = |to: usize, role: SyntaxRole| {
            let to = to.min(line.len());
            if to > from {
                match pieces.last_mut() {
                    Some((last, range)) if *last == role => range.end = to,
                    _ => pieces.push((role, from..to)),
                }
                from = to;
            }
        };
        for (at, operation) in &operations {
            piece(*at, scopes.of(&stack));
            if stack.apply(operation).is_err() {
                return plain(line);
            }
        }
        piece(line.len(), scopes.of(&stack));
        pieces
    };
    code.split('\n').map(colour_line).collect()
}

/// From TextMate scopes to roles, remembering each scope's answer.
#[derive(Default)]
struct ScopeRoles {
    known: HashMap<Scope, Option<SyntaxRole>>,
}

impl ScopeRoles {
    /// The role that the innermost meaningful scope names.
    fn of(&mut self, stack: &ScopeStack) -> SyntaxRole {
        let scopes = stack.as_slice().iter().rev();
        scopes
            .filter_map(|&scope| *self.known.entry(scope).or_insert_with(|| role_of(scope)))
            .next()
            .unwrap_or(SyntaxRole::Plain)
    }
}

/// The first match wins, so the special comes before the general.
const SCOPES: [(&str, SyntaxRole); 27] = [
    ("punctuation.definition.comment", SyntaxRole::Comment),
    ("punctuation.definition.string", SyntaxRole::String),
    ("punctuation.definition.tag", SyntaxRole::Tag),
    ("punctuation", SyntaxRole::Punctuation),
    ("comment", SyntaxRole::Comment),
    ("constant.numeric", SyntaxRole::Number),
    ("constant.character.escape", SyntaxRole::Constant),
    ("constant", SyntaxRole::Constant),
    ("string", SyntaxRole::String),
    ("keyword.operator", SyntaxRole::Operator),
    ("keyword", SyntaxRole::Keyword),
    ("storage.type.function", SyntaxRole::Keyword),
    ("storage", SyntaxRole::Keyword),
    ("variable.language", SyntaxRole::Keyword),
    ("variable.function", SyntaxRole::Function),
    ("entity.name.function", SyntaxRole::Function),
    ("support.function", SyntaxRole::Function),
    ("support.macro", SyntaxRole::Function),
    ("entity.name.tag", SyntaxRole::Tag),
    ("entity.other.attribute-name", SyntaxRole::Attribute),
    ("entity.name", SyntaxRole::Type),
    ("entity.other.inherited-class", SyntaxRole::Type),
    ("support.type.property-name", SyntaxRole::Attribute),
    ("support", SyntaxRole::Type),
    ("markup.inserted", SyntaxRole::Inserted),
    ("markup.deleted", SyntaxRole::Deleted),
    ("variable.parameter.option", SyntaxRole::Attribute),
];

fn role_of(scope: Scope) -> Option<SyntaxRole> {
    static TABLE: OnceLock<Vec<(Scope, SyntaxRole)>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let known = |&(name, role): &(&str, SyntaxRole)| Scope::new(name).ok().map(|s| (s, role));
        SCOPES.iter().filter_map(known).collect()
    });
    table
        .iter()
        .find(|(prefix, _)| prefix.is_prefix_of(scope))
        .map(|&(_, role)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role_at(language: &str, code: &str, needle: &str) -> SyntaxRole {
        let at = code.find(needle).expect("the needle is in the code");
        let line = code[..at].matches('\n').count();
        let column = at - code[..at].rfind('\n').map_or(0, |n| n + 1);
        let roles = colour(language, code);
        let piece = roles[line]
            .iter()
            .find(|(_, range)| range.contains(&column));
        piece.map_or(SyntaxRole::Plain, |&(role, _)| role)
    }

    #[test]
    fn common_languages_are_coloured() {
        for (language, code, needle, role) in [
            ("rust", "// why\nfn main() {}", "why", SyntaxRole::Comment),
            ("rust", "fn main() {}", "fn", SyntaxRole::Keyword),
            ("rust", "fn main() {}", "main", SyntaxRole::Function),
            ("rs", "let x = \"two\";", "two", SyntaxRole::String),
            ("python", "x = 42", "42", SyntaxRole::Number),
            ("toml", "key = true", "true", SyntaxRole::Constant),
            ("sh", "echo \"hi\"", "hi", SyntaxRole::String),
            ("typescript", "const a = 1", "const", SyntaxRole::Keyword),
            ("diff", "+new\n-old", "old", SyntaxRole::Deleted),
        ] {
            assert_eq!(
                role_at(language, code, needle),
                role,
                "{needle} in {language}"
            );
        }
    }

    #[test]
    fn the_pieces_of_a_line_cover_it() {
        let code = "fn f(a: &str) -> usize {\n    a.len() // 漢字\n}\n\n\"unclosed";
        for (line, pieces) in code.split('\n').zip(colour("rust", code)) {
            let text: String = pieces
                .iter()
                .map(|(_, range)| &line[range.clone()])
                .collect();
            assert_eq!(text, line);
        }
    }

    #[test]
    fn unknown_and_large_code_stays_plain() {
        let highlighter = Highlighter::inline();
        assert!(matches!(highlighter.lookup("no-such", "x"), Lookup::Plain));
        assert!(matches!(highlighter.lookup("", "x"), Lookup::Plain));
        let large = "x\n".repeat(MAX_LINES + 1);
        assert!(matches!(highlighter.lookup("rust", &large), Lookup::Plain));
    }

    #[test]
    fn a_background_highlighter_answers_later() {
        let (sender, receiver) = mpsc::channel();
        let highlighter = Highlighter::background(move || sender.send(()).unwrap_or(()));
        assert!(matches!(
            highlighter.lookup("rust", "fn f() {}"),
            Lookup::Pending
        ));
        receiver
            .recv_timeout(std::time::Duration::from_secs(20))
            .expect("a result");
        assert_eq!(highlighter.generation(), 1);
        assert!(matches!(
            highlighter.lookup("rust", "fn f() {}"),
            Lookup::Ready(_)
        ));
    }

    #[test]
    fn the_cache_is_bounded() {
        let highlighter = Highlighter::inline();
        for number in 0..KEPT + 10 {
            highlighter.lookup("rust", &format!("let x = {number};"));
        }
        assert_eq!(highlighter.shared.cache().blocks.len(), KEPT);
    }
}
