//! Pure: Rust source as a row of words and marks, without comments and the insides of literals.
//!
//! Just enough of the language to judge paths and words in it: names, and marks one character each.

/// One word or mark of Rust source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word, or the mark; a literal is the mark `"`.
    pub text: String,
    /// Line that it begins on, from 1.
    pub line: usize,
}

/// The words and marks of `source`.
#[must_use]
pub fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { rest: source, line: 1, tokens: Vec::new() };
    while reader.step() {}
    reader.tokens
}

/// `tokens` without the items that exist in test builds only: those under `#[cfg(test)]` and `#[cfg(all(test, …))]`.
#[must_use]
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if is_test_gate(&tokens[at..]) {
            at = item_end(tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// True where `tokens` begin with exactly the words and marks of `words`.
#[must_use]
pub fn begins(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word)
}

fn is_test_gate(tokens: &[Token]) -> bool {
    begins(tokens, &["#", "[", "cfg", "(", "test", ")", "]"])
        || begins(tokens, &["#", "[", "cfg", "(", "all", "(", "test", ","])
}

/// Where the item ends whose attributes begin at `at`: behind its closing brace or its semicolon.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    /// Takes one word, mark, literal, comment or blank; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment_len(self.rest));
        } else if let Some(len) = literal_len(self.rest) {
            self.take(len, "\"");
        } else if first.is_alphanumeric() || first == '_' {
            let len = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
            let word = self.rest[..len].to_owned();
            self.take(len, &word);
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else {
            self.take(first.len_utf8(), first.encode_utf8(&mut [0; 4]));
        }
        true
    }

    fn take(&mut self, len: usize, text: &str) {
        self.tokens.push(Token { text: text.to_owned(), line: self.line });
        self.skip(len);
    }

    fn skip(&mut self, len: usize) {
        let (passed, rest) = self.rest.split_at(len);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Length of the string, byte string, raw string or character that `text` begins with.
fn literal_len(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let Some(rest) = text.strip_prefix(prefix) else { return false };
        let raw = prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"');
        raw || !prefix.ends_with('r') && rest.starts_with('"') || matches!(*prefix, "b" | "") && is_char(rest)
    })?;
    let body = &text[prefix.len()..];
    let len = if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let inside = &body[hashes + 1..];
        hashes + 1 + inside.find(&close).map_or(inside.len(), |at| at + close.len())
    } else {
        quoted_len(body)
    };
    Some(prefix.len() + len)
}

/// Tells the character `'a'` from the lifetime `'a`.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('\'') && (chars.next() == Some('\\') || chars.next() == Some('\''))
}

/// Length of a literal up to its closing quote, which is its opening one, escapes passed over.
fn quoted_len(text: &str) -> usize {
    let quote = text.chars().next();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if Some(c) == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        tokens(source).into_iter().map(|t| t.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_insides_of_literals_are_no_words() {
        for (source, expected) in [
            ("a // unsafe\nb", "a b"),
            ("a /* unsafe /* deep */ still */ b", "a b"),
            (r#"x("un\"safe", 'u', '\'', b'"')"#, "x ( \" , \" , \" , \" )"),
            ("r#\"un\" safe\"# + br\"x\" + b\"y\"", "\" + \" + \""),
            ("fn f<'a>(x: &'a str)", "fn f < ' a > ( x : & ' a str )"),
            ("r#type brr r", "r # type brr r"),
        ] {
            assert_eq!(words(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_through_comments_and_literals() {
        let found = tokens("/* 1\n2 */ a \"3\n\" b\n// 4\nc");
        let lines: Vec<_> = found.iter().map(|t| (t.text.as_str(), t.line)).collect();
        assert_eq!(lines, [("a", 2), ("\"", 2), ("b", 3), ("c", 5)]);
    }

    #[test]
    fn what_only_test_builds_have_is_left_out() {
        for (source, expected) in [
            ("a #[cfg(test)] mod tests { x { y } } b", "a b"),
            ("a #[cfg(test)] mod tests; b", "a b"),
            ("a #[cfg(test)] #[path = \"t\"] mod tests; b", "a b"),
            ("a #[cfg(all(test, unix))] fn f(x: [u8; 3]) -> (u8, u8) { x } b", "a b"),
            ("#[cfg(any(test, unix))] mod kept;", "# [ cfg ( any ( test , unix ) ) ] mod kept ;"),
        ] {
            let kept: Vec<_> = without_tests(&tokens(source)).into_iter().map(|t| t.text).collect();
            assert_eq!(kept.join(" "), expected, "{source}");
        }
    }
}
