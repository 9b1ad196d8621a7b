//! What is left of a long output.

/// How many characters a plugin's output has at most, in ListCommandInvocations.
pub const PLUGIN_CHARACTERS: usize = 2500;
/// How many of the standard output there are at most, in GetCommandInvocation.
pub const STDOUT_CHARACTERS: usize = 24_000;
/// How many of the standard error there are at most, in GetCommandInvocation.
pub const STDERR_CHARACTERS: usize = 8000;

/// What an agent puts behind a plugin's output that it has cut.
pub const OUTPUT_MARK: &str = "\n---Output truncated---";
/// What it puts behind a plugin's errors that it has cut.
pub const ERROR_MARK: &str = "\n---Error truncated----";
/// What it puts behind either, in GetCommandInvocation.
pub const CONTENT_MARK: &str = "--output truncated--";

/// What it puts between a plugin's output and its errors.
const ERROR_TITLE: &str = "\n----------ERROR-------\n";

/// A plugin's output: what was written and what was complained of, in one text. Of two that are long each has half the
/// room; of one alone, that one is cut. The agent's rule is `TruncateOutput` in its `iohandler.go`; a text that fills
/// the room to the last character is cut as well.
pub fn of_plugin(stdout: &str, stderr: &str) -> String {
    let title = if stderr.is_empty() { "" } else { ERROR_TITLE };
    let room = PLUGIN_CHARACTERS - title.len();
    let (out, err) = (stdout.chars().count(), stderr.chars().count());
    if out + err < room {
        return [stdout, title, stderr].concat();
    }
    let (is_out_long, is_err_long) = (out > room / 2, err > room / 2);
    if is_out_long && is_err_long {
        let half = (room - OUTPUT_MARK.len() - ERROR_MARK.len()) / 2;
        let (out, err) = (first(stdout, half), first(stderr, half));
        return [&out, OUTPUT_MARK, title, &err, ERROR_MARK].concat();
    }
    if is_out_long {
        let out = first(stdout, room - OUTPUT_MARK.len() - err);
        return [&out, OUTPUT_MARK, title, stderr].concat();
    }
    let err = first(stderr, room - ERROR_MARK.len() - out);
    [stdout, title, &err, ERROR_MARK].concat()
}

/// The content of a stream, cut where it is longer than this.
pub fn of_stream(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    first(text, most - CONTENT_MARK.len()) + CONTENT_MARK
}

fn first(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
