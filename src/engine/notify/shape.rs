//! The shapes in which chat services take a notice.

use serde_json::{Value, json};

use super::notice::{Notice, TableLine};
use crate::limits::NOTICE_TABLES_MAX;
use crate::model::notify::EventKind;

/// Characters of a Slack header: <https://docs.slack.dev/reference/block-kit/blocks/header-block>.
const SLACK_HEADER_CHARS_MAX: usize = 150;
/// Fields of a Slack section: <https://docs.slack.dev/reference/block-kit/blocks/section-block>.
const SLACK_FIELDS_MAX: usize = 10;

/// Of one text: a field of a section takes 2,000 characters, its text 3,000.
const SLACK_TEXT_BYTES_MAX: usize = 1_990;

/// A message for a Slack incoming webhook: `text` for notifications and for services that know no blocks, `blocks` for the
/// rest (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
pub(super) fn slack(notice: &Notice) -> Value {
    let title = notice.title();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": shortened(&title, SLACK_HEADER_CHARS_MAX), "emoji": false },
    })];
    for text in notice.texts() {
        blocks.push(json!({ "type": "section", "text": slack_text(&text) }));
    }
    let facts = notice.facts();
    if !facts.is_empty() {
        let fields = facts.iter().take(SLACK_FIELDS_MAX);
        let fields: Vec<Value> = fields.map(|(name, value)| slack_text(&format!("{name}: {value}"))).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if !notice.tables.is_empty() {
        let lines: Vec<String> = table_lines(&notice.tables);
        blocks.push(json!({ "type": "section", "text": slack_text(&lines.join("\n")) }));
    }
    blocks.push(json!({ "type": "context", "elements": [slack_text(&notice.origin())] }));
    let texts = notice.texts().into_iter().next().map(|text| format!("\n{text}")).unwrap_or_default();
    json!({ "text": escaped(&format!("{title}{texts}")), "blocks": blocks })
}

/// A text in which nothing is a link or a mention, whatever a server wrote.
fn slack_text(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": escaped(text), "verbatim": true })
}

/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>. Cut where it would be too long for a field.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        let length = escaped.len();
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
        if escaped.len() > SLACK_TEXT_BYTES_MAX {
            escaped.truncate(length);
            escaped.push('…');
            break;
        }
    }
    escaped
}

/// A message for a workflow of Teams that takes webhook requests: an Adaptive Card in an attachment
/// (<https://learn.microsoft.com/power-automate/teams/create-flows-webhook>,
/// <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>). Connectors with their
/// `MessageCard` are retired.
pub(super) fn teams(notice: &Notice) -> Value {
    let mut body = vec![json!({
        "type": "RichTextBlock",
        "inlines": [{
            "type": "TextRun",
            "text": notice.title(),
            "weight": "Bolder",
            "size": "Large",
            "color": color(notice.event),
        }],
    })];
    for text in notice.texts() {
        body.push(plain(&text));
    }
    let facts = notice.facts();
    if !facts.is_empty() {
        let facts: Vec<Value> =
            facts.iter().map(|(name, value)| json!({ "title": name, "value": unmarked(value) })).collect();
        body.push(json!({ "type": "FactSet", "facts": facts }));
    }
    if !notice.tables.is_empty() {
        body.push(plain(&table_lines(&notice.tables).join("\n")));
    }
    body.push(json!({
        "type": "RichTextBlock",
        "inlines": [{ "type": "TextRun", "text": notice.origin(), "isSubtle": true, "size": "Small" }],
    }));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                // What the desktop, the web and the phones show: <https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format>.
                "version": "1.4",
                "body": body,
                "msteams": { "width": "Full" },
            },
        }],
    })
}

/// A text run knows no Markdown: no text of a server becomes a link.
fn plain(text: &str) -> Value {
    json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text }] })
}

/// The value of a fact does.
fn unmarked(text: &str) -> String {
    text.replace('[', "(").replace(']', ")")
}

fn color(event: EventKind) -> &'static str {
    match event {
        EventKind::Failed | EventKind::LoginNeeded => "Attention",
        EventKind::Held
        | EventKind::Empty
        | EventKind::Missed
        | EventKind::CredentialExpires
        | EventKind::RefreshFailed => "Warning",
        EventKind::Recovered => "Good",
        EventKind::Test => "Default",
    }
}

fn table_lines(tables: &[TableLine]) -> Vec<String> {
    let line = |table: &TableLine| {
        let rows = if table.rows == 1 { "row" } else { "rows" };
        let outcome = serde_json::to_value(table.outcome).unwrap_or_default();
        format!("{}: {} {rows}, {}", table.name, table.rows, outcome.as_str().unwrap_or_default())
    };
    let mut lines: Vec<String> = tables.iter().take(NOTICE_TABLES_MAX).map(line).collect();
    if tables.len() > NOTICE_TABLES_MAX {
        lines.push(format!("and {} tables more", tables.len() - NOTICE_TABLES_MAX));
    }
    lines
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_texts_are_escaped_and_short() {
        let check = |text: &str, expect: &str| assert_eq!(escaped(text), expect, "{text}");
        check("a & b <!here> `x`", "a &amp; b &lt;!here&gt; `x`");
        check("&lt;", "&amp;lt;");
        let long = escaped(&"<".repeat(5_000));
        assert!(long.len() < 2_000 && long.ends_with("&lt;…"), "{}", long.len());
        assert_eq!(shortened(&"x".repeat(151), 150).chars().count(), 150);
    }
}
